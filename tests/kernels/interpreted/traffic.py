"""What launches move: the interpreter's loads and stores, byte by byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from triton.runtime.interpreter import InterpreterBuilder

from esamp.kernels.launch import Launch


@dataclass
class Traffic:
    """Names of the launches, and the bytes that each must have from memory and leave there, every one counted once.

    A launch that reads a byte twice finds it in a cache the second time; the next launch does not.
    """

    launches: list[str] = field(default_factory=list)
    bytes: int = 0
    _touched: dict[str, list[tuple[Any, int]]] = field(default_factory=dict)

    def record(self, launch: Launch) -> None:
        self._touched = {"load": [], "store": []}
        launch.run()
        self.launches.append(launch.name)
        for kind in self._touched.values():
            for size in {size for _, size in kind}:
                addresses = np.concatenate([pointers for pointers, width in kind if width == size])
                self.bytes += size * len(np.unique(addresses))

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> Traffic:
        for kind in ("load", "store"):
            monkeypatch.setattr(InterpreterBuilder, f"create_masked_{kind}", self._wrapped(kind))
        return self

    def _wrapped(self, kind: str) -> Any:
        original = getattr(InterpreterBuilder, f"create_masked_{kind}")
        mask_place = 0 if kind == "load" else 1

        def access(builder: Any, pointers: Any, *rest: Any, **options: Any) -> Any:
            mask = rest[mask_place]
            size = max(pointers.get_element_ty().primitive_bitwidth // 8, 1)
            self._touched[kind].append((pointers.data[mask.data.astype(bool)].reshape(-1), size))
            return original(builder, pointers, *rest, **options)

        return access
