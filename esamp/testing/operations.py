"""Operations that a GPU would be asked for: what of a piece of work would be a launch, and the bytes that it moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from typing_extensions import override

from esamp.kernels.launch import Launch, watch

__all__ = ["Operation", "Operations", "operations"]

_ALLOCATIONS = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "set_", "lift_fresh")
# The host waits for a value.
_READS = ("_local_scalar_dense", "equal", "is_nonzero")
# Of their first tensor they read as much as they return.
_PICKS = ("gather", "index", "index_select", "embedding")
# They read nothing of what they overwrite.
_OVERWRITES = ("copy_", "fill_", "zero_")


@dataclass(frozen=True)
class Operation:
    """One thing that the device is asked to do.

    Attributes:
        name: of PyTorch's operation, or of the kernel.
        bytes: read and written, each tensor once.
        kernel: it is one of ours.
    """

    name: str
    bytes: int
    kernel: bool = False


@final
class Operations(TorchDispatchMode):
    """Within it, everything that PyTorch does is listed, whatever the device.

    Views, metadata and allocations launch nothing and are left out. One operation of PyTorch counts as one launch,
    which is what a GPU needs at least. What happens in a `pause` is not listed: its author does it by `add`.

    Attributes:
        listed: in order.
        waits: how often the host waited for a value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[Operation] = []
        self.waits: int = 0
        self._paused = False

    def add(self, operation: Operation) -> None:
        """List an operation that is not PyTorch's."""
        self.listed.append(operation)

    @property
    def bytes(self) -> int:
        """Of all that is listed."""
        return sum(operation.bytes for operation in self.listed)

    @property
    def names(self) -> list[str]:
        """Of all that is listed."""
        return [operation.name for operation in self.listed]

    @contextmanager
    def pause(self) -> Generator[None]:
        """Within the block nothing is listed."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    @override
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = _name(func)
        if self._paused or name in _ALLOCATIONS or _is_view(func):
            return result
        self.waits += name in _READS
        if name not in _READS:
            self.add(Operation(name, _bytes(name, (args, kwargs), result)))
        return result


@contextmanager
def operations(weigh: Callable[[Launch], int]) -> Generator[Operations]:
    """Everything that the block asks of the device, our kernels' launches too.

    Args:
        weigh: runs a launch and returns its bytes (`esamp.testing.traffic.weigh`, in Triton's interpreter).
    """
    listed = Operations()

    def record(launch: Launch) -> None:
        with listed.pause():
            size = weigh(launch)
        listed.add(Operation(launch.name, size, kernel=True))

    with watch(record), listed:
        yield listed


def _is_view(function: Any) -> bool:
    aliases = [value.alias_info for value in function._schema.returns]
    return _name(function) == "_unsafe_view" or any(alias is not None and not alias.is_write for alias in aliases)


def _name(function: Any) -> str:
    return function.overloadpacket.__name__


def _bytes(name: str, arguments: Any, result: Any) -> int:
    given = [leaf for leaf in tree_leaves(arguments) if isinstance(leaf, Tensor)]
    made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
    written = sum(map(_size, made))
    if name in _PICKS:
        given = given[1:]
        written *= 2
    if name in _OVERWRITES:
        given = given[1:]
    return written + sum(_size(tensor) for tensor in {id(tensor): tensor for tensor in given}.values())


def _size(tensor: Tensor) -> int:
    """Bytes of the elements that there are: those of an expanded axis are one."""
    sizes = (size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)
    return math.prod(sizes) * tensor.element_size() if tensor.numel() else 0
