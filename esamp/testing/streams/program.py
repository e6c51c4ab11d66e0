"""What was queued on streams, item by item, and what orders it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch

__all__ = ["Call", "Free", "Item", "Operation", "Program", "Record", "Reference", "Wait"]


@final
@dataclass(frozen=True)
class Reference:
    """A tensor as a place in memory.

    Attributes:
        storage: number of its storage.
        dtype: of its elements.
        size: its shape.
        stride: its strides.
        offset: of its first element in the storage, in elements.
    """

    storage: int
    dtype: torch.dtype
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int


@final
@dataclass(frozen=True)
class Call:
    """How to run an operation again.

    Attributes:
        function: what is called.
        arguments: flat list of its arguments, tensors as references.
        layout: how they are put together to positional and keyword arguments (a pytree specification).
        outputs: for each flat output, where it is written; None where it is no new tensor.
        value: what the host read, if the operation gave it a number; None otherwise.
    """

    function: Callable[..., Any]
    arguments: list[Any]
    layout: Any
    outputs: list[Reference | None]
    value: Any = None


@final
@dataclass(frozen=True)
class Operation:
    """One operation on one stream.

    Attributes:
        stream: number of the stream.
        name: of the operation.
        reads: storages it reads.
        writes: storages it writes.
        call: how to run it.
    """

    stream: int
    name: str
    reads: frozenset[int]
    writes: frozenset[int]
    call: Call


@final
@dataclass(frozen=True)
class Record:
    """An event is recorded on a stream."""

    stream: int
    event: int


@final
@dataclass(frozen=True)
class Wait:
    """What follows on the stream runs after the event."""

    stream: int
    event: int


@final
@dataclass(frozen=True)
class Free:
    """The host lets go of a storage: the next operation on its stream may be given the memory and write it."""

    stream: int
    storage: int


Item = Operation | Record | Wait | Free


@final
@dataclass(frozen=True)
class Program:
    """Items in the order in which the host queued them.

    Attributes:
        items: the items.
        streams: number of streams.
        blocks: for each storage, the block of memory it was given; blocks are given again once they are free.
        contents: bytes of the storages that were there before, uint8.
    """

    items: Sequence[Item]
    streams: int
    blocks: Sequence[int]
    contents: dict[int, torch.Tensor]

    @property
    def marks(self) -> list[int]:
        """Places of the items that order streams: records and waits."""
        return [place for place, item in enumerate(self.items) if isinstance(item, Record | Wait)]

    def without(self, place: int) -> Program:
        """The same program with one item left out."""
        items = [*self.items[:place], *self.items[place + 1 :]]
        return Program(items, self.streams, self.blocks, self.contents)

    def order(self, bursts: Sequence[int]) -> list[Operation]:
        """A legal order of the operations: streams take turns, each for as many items as the next burst says.

        A stream stops early where it has to wait for an event. When the bursts are used up, each turn goes on until
        the stream has to wait.
        """
        queued = [item for item in self.items if not isinstance(item, Free)]
        queues = [[item for item in queued if item.stream == stream] for stream in range(self.streams)]
        recorded = {item.event for item in self.items if isinstance(item, Record)}
        position, done, order = [0] * self.streams, set[int](), list[Operation]()
        turn = 0
        while any(position[stream] < len(queue) for stream, queue in enumerate(queues)):
            stream, left = turn % self.streams, bursts[turn] if turn < len(bursts) else len(self.items)
            turn += 1
            while left > 0 and position[stream] < len(queues[stream]):
                item = queues[stream][position[stream]]
                # A wait for an event that nobody records holds up nothing, as on a real device.
                if isinstance(item, Wait) and item.event in recorded and item.event not in done:
                    break
                if isinstance(item, Record):
                    done.add(item.event)
                if isinstance(item, Operation):
                    order.append(item)
                position[stream] += 1
                left -= 1
        return order
