"""Runs what was recorded again, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_unflatten

from esamp.testing.streams.program import Operation, Program, Reference

__all__ = ["DivergedError", "Replay"]

_POISON = 0xFF  # NaN as a float, -1 as an integer: memory that nobody has written
_ALIGNMENT = 64


class DivergedError(Exception):
    """In this order the program is another one: the host read another value, or an operation failed."""


@final
class Replay:
    """A program in memory of its own: one arena of blocks, poisoned before each run.

    Args:
        program: what was recorded.
        results: the tensors to look at in the end.
    """

    def __init__(self, program: Program, results: Sequence[Reference]) -> None:
        operations = [item for item in program.items if isinstance(item, Operation)]
        references = [*results, *(leaf for item in operations for leaf in _references(item))]
        largest = max(map(_end, references))
        largest = max([largest, *(content.numel() for content in program.contents.values())])
        self._block = -(-largest // _ALIGNMENT) * _ALIGNMENT
        self._blocks = program.blocks
        self._arena = torch.empty((max(program.blocks) + 1) * self._block, dtype=torch.uint8)
        self._start = torch.full_like(self._arena, _POISON)
        for storage, content in program.contents.items():
            place = program.blocks[storage] * self._block
            self._start[place : place + content.numel()] = content
        self._steps = {id(item): self._compile(item) for item in operations}
        self._operations = operations  # keeps the ids above
        self._results = [self._view(reference) for reference in results]

    def run(self, order: Iterable[Operation]) -> list[Tensor]:
        """The results of the operations in that order.

        Raises:
            DivergedError: they cannot be run in that order.
        """
        self._arena.copy_(self._start)
        with torch.no_grad():
            for operation in order:
                self._steps[id(operation)]()
        return [result.clone() for result in self._results]

    def _view(self, reference: Reference) -> Tensor:
        start = self._blocks[reference.storage] * self._block // reference.dtype.itemsize
        return torch.empty(0, dtype=reference.dtype).set_(
            self._arena.untyped_storage(), start + reference.offset, reference.size, reference.stride
        )

    def _compile(self, operation: Operation) -> Callable[[], None]:
        call = operation.call
        flat = [self._view(leaf) if isinstance(leaf, Reference) else leaf for leaf in call.arguments]
        args, kwargs = tree_unflatten(flat, call.layout)
        outputs = [None if reference is None else self._view(reference) for reference in call.outputs]
        function, value = call.function, call.value

        def step() -> None:
            try:
                result = function(*args, **kwargs)
            except (RuntimeError, IndexError) as error:
                raise DivergedError(f"{operation.name} failed: {error}") from error
            for output, leaf in zip(outputs, tree_leaves(result), strict=True):
                if output is not None:
                    if output.shape != leaf.shape:
                        raise DivergedError(f"{operation.name} gave another shape")
                    output.copy_(leaf)
                elif value is not None and repr(leaf) != repr(value):
                    raise DivergedError(f"the host read {leaf!r} where it had read {value!r}")

        return step


def _references(operation: Operation) -> list[Reference]:
    leaves: list[Any] = [*operation.call.arguments, *operation.call.outputs]
    return [leaf for leaf in leaves if isinstance(leaf, Reference)]


def _end(reference: Reference) -> int:
    """Bytes from the start of the storage to the end of the tensor."""
    if 0 in reference.size:
        return 0
    last = sum((size - 1) * stride for size, stride in zip(reference.size, reference.stride, strict=True))
    return (reference.offset + last + 1) * reference.dtype.itemsize
