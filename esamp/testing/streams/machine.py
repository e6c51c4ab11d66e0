"""A simulated device: streams, events and an allocator that write down everything that is queued."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only
from typing_extensions import override

from esamp.testing.streams.program import Call, Free, Item, Operation, Program, Record, Reference, Wait

__all__ = ["SimulatedEvent", "SimulatedMachine", "SimulatedStream", "storage_bytes"]


@final
@dataclass(frozen=True)
class SimulatedEvent:
    """An event, by its number."""

    number: int


@final
@dataclass(frozen=True)
class SimulatedStream:
    """A stream of a machine, by its number."""

    machine: SimulatedMachine
    number: int
    priority: int = 0

    def record_event(self) -> SimulatedEvent:
        """Mark this place of the stream."""
        return self.machine.record(self)

    def wait_event(self, event: SimulatedEvent) -> None:
        """What is queued from here on runs after everything before the mark."""
        self.machine.wait(self, event)


@dataclass
class _Storage:
    """A storage that is alive: its number, the stream whose pool it is from, and a reference that does not keep it."""

    number: int
    pool: int
    reference: StorageWeakRef


class SimulatedMachine(TorchDispatchMode):
    """Stands in for `torch.cuda` in `CudaStreamScheduler(backend=...)`, and records while entered.

    Every operation on CPU tensors runs at once, in the order of the host, which is what the synchronous scheduler
    would do; with what it reads and writes it becomes an item of `program()`. A new tensor belongs to the pool of the
    stream it was made on, and its memory is given again, the last first, once the host has let go of it: as PyTorch's
    caching allocator does, whatever another stream may still do with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.items: list[Item] = []
        self.host_reads: list[tuple[int, str]] = []
        self._streams = [SimulatedStream(self, 0)]
        self._current = self._streams[0]
        self._events = 0
        self._alive: dict[int, _Storage] = {}
        self._blocks: list[int] = []
        self._block_count = 0
        self._free_blocks: dict[int, list[int]] = {}
        self._contents: dict[int, Tensor] = {}

    def Stream(self, device: Any = None, priority: int = 0) -> SimulatedStream:  # noqa: N802 (torch.cuda's name)
        """A new stream."""
        self._streams.append(SimulatedStream(self, len(self._streams), priority))
        return self._streams[-1]

    def current_stream(self, device: Any = None) -> SimulatedStream:
        """The stream on which operations are queued."""
        return self._current

    @contextmanager
    def stream(self, stream: SimulatedStream) -> Generator[None]:
        """While entered, operations are queued on `stream`."""
        before, self._current = self._current, stream
        try:
            yield
        finally:
            self._current = before

    def record(self, stream: SimulatedStream) -> SimulatedEvent:
        """A new event, recorded on `stream`."""
        self._let_go()
        self._events += 1
        self.items.append(Record(stream.number, self._events))
        return SimulatedEvent(self._events)

    def wait(self, stream: SimulatedStream, event: SimulatedEvent) -> None:
        """Let `stream` wait for `event`."""
        self._let_go()
        self.items.append(Wait(stream.number, event.number))

    def program(self) -> Program:
        """What was recorded so far."""
        self._let_go()
        return Program(list(self.items), len(self._streams), list(self._blocks), dict(self._contents))

    def reference(self, tensor: Tensor) -> Reference:
        """Where a tensor is in memory; one that was not met before counts as there from the beginning."""
        storage = tensor.untyped_storage()
        known = self._alive.get(_key(storage))
        if known is None:
            known = self._adopt(storage, self._streams[0], block=self._new_block())
            self._contents[known.number] = storage_bytes(storage).clone()
        return _reference(known.number, tensor)

    @override
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self._let_go()
        kwargs = kwargs or {}
        if func is torch.ops.aten.lift_fresh.default or _is_random(func, args):
            result = func(*args, **kwargs)
            self._upload(result)
            return result
        # Before the operation can change what it is given.
        arguments, layout = tree_flatten(tree_map_only(Tensor, self.reference, (args, kwargs)))
        written = _storages(tree_map_only(Tensor, self.reference, _written(func, args, kwargs)))
        if written and torch.Tag.nondeterministic_seeded in func.tags:
            raise NotImplementedError(f"{func} draws in place and would draw other numbers in a replay; draw before")
        result = func(*args, **kwargs)
        leaves = tree_leaves(result)
        outputs = [self._output(leaf) for leaf in leaves]
        value = next((leaf for leaf in leaves if not isinstance(leaf, Tensor)), None)
        if value is not None:
            self.host_reads.append((self._current.number, str(func)))
        changed = written | _storages(outputs)
        # Views are no operations, nor is an allocation that leaves memory as it finds it.
        if (changed or value is not None) and "empty" not in func.name():
            self._queue(str(func), _storages(arguments), changed, Call(func, arguments, layout, outputs, value))
        return result

    def _queue(self, name: str, reads: set[int], writes: set[int], call: Call) -> None:
        self.items.append(Operation(self._current.number, name, frozenset(reads), frozenset(writes), call))

    def _upload(self, tensor: Tensor) -> None:
        """Values that come from outside, of `torch.tensor` or a generator: the current stream writes them."""
        output = self._output(tensor)
        if output is not None:
            content = tensor.clone()
            _, layout = tree_flatten(((), {}))
            self._queue("upload", set(), {output.storage}, Call(lambda: content, [], layout, [output]))

    def _output(self, leaf: Any) -> Reference | None:
        """The place of a new tensor; None for one whose memory was there before, and for what is no tensor."""
        if not isinstance(leaf, Tensor) or _key(leaf.untyped_storage()) in self._alive:
            return None
        free = self._free_blocks.setdefault(self._current.number, [])
        block = free.pop() if free else self._new_block()
        return _reference(self._adopt(leaf.untyped_storage(), self._current, block).number, leaf)

    def _new_block(self) -> int:
        self._block_count += 1
        return self._block_count - 1

    def _adopt(self, storage: torch.UntypedStorage, pool: SimulatedStream, block: int) -> _Storage:
        adopted = _Storage(len(self._blocks), pool.number, StorageWeakRef(storage))
        self._blocks.append(block)
        self._alive[_key(storage)] = adopted
        return adopted

    def _let_go(self) -> None:
        """Notice which storages the host has let go of."""
        for key in [key for key, storage in self._alive.items() if storage.reference.expired()]:
            storage = self._alive.pop(key)
            self._free_blocks.setdefault(storage.pool, []).append(self._blocks[storage.number])
            self.items.append(Free(storage.pool, storage.number))


def storage_bytes(storage: torch.UntypedStorage) -> Tensor:
    """The bytes of a storage, uint8: a view."""
    return torch.empty(0, dtype=torch.uint8).set_(storage)


def _key(storage: torch.UntypedStorage) -> int:
    return storage._cdata  # pyright: ignore[reportPrivateUsage]  (the same for every tensor of a storage)


def _reference(storage: int, tensor: Tensor) -> Reference:
    return Reference(storage, tensor.dtype, tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()))


def _storages(leaves: Any) -> set[int]:
    return {leaf.storage for leaf in tree_leaves(leaves) if isinstance(leaf, Reference)}


def _is_random(func: Any, args: tuple[Any, ...]) -> bool:
    """It makes numbers out of a generator alone; attention is tagged so too, for a dropout that we do not use."""
    return torch.Tag.nondeterministic_seeded in func.tags and not any(isinstance(arg, Tensor) for arg in args)


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments that the schema of an operation says it writes."""
    named = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
    writes = [
        argument.name for argument in func._schema.arguments if argument.alias_info and argument.alias_info.is_write
    ]
    return [named[name] for name in writes if name in named]
