"""What a launch moves: the loads and stores of Triton's interpreter, byte by byte. Importing this imports Triton."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import numpy as np
from triton.runtime.interpreter import InterpreterBuilder

from esamp.kernels.launch import Launch

__all__ = ["weigh"]

# Where an access has its mask.
_MASKS = {"load": 0, "store": 1}


def weigh(launch: Launch) -> int:
    """Run the launch; the bytes that it must have from memory and leave there, every one counted once.

    What it reads twice it finds in a cache the second time; the next launch does not.
    """
    touched: dict[str, list[tuple[Any, int]]] = {kind: [] for kind in _MASKS}
    with ExitStack() as stack:
        for kind, noted in touched.items():
            name = f"create_masked_{kind}"
            wrapped = _noting(getattr(InterpreterBuilder, name), _MASKS[kind], noted)
            stack.enter_context(patch.object(InterpreterBuilder, name, wrapped))
        launch.run()
    return sum(map(_bytes, touched.values()))


def _noting(access: Callable[..., Any], mask_place: int, noted: list[tuple[Any, int]]) -> Callable[..., Any]:
    def noting(builder: Any, pointers: Any, *rest: Any, **options: Any) -> Any:
        size = max(pointers.get_element_ty().primitive_bitwidth // 8, 1)
        noted.append((pointers.data[rest[mask_place].data.astype(bool)].reshape(-1), size))
        return access(builder, pointers, *rest, **options)

    return noting


def _bytes(noted: list[tuple[Any, int]]) -> int:
    sizes = {size for _, size in noted}
    return sum(size * len(np.unique(np.concatenate([at for at, width in noted if width == size]))) for size in sizes)
