"""Overlap on a GPU: the distiller works on a stream of its own."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, final, runtime_checkable

import torch
from typing_extensions import override

from esamp.checks import check_integer
from esamp.schedulers.base import OverlapScheduler, Pending, schedulers
from esamp.schedulers.outcome import attempt

__all__ = ["CudaStreamScheduler", "Event", "Stream", "StreamBackend"]

T = TypeVar("T")

# PyTorch keeps pools of streams for four priorities.
_HIGHEST, _LOWEST = -3, 0


@runtime_checkable
class Event(Protocol):
    """A mark on a stream."""


@runtime_checkable
class Stream(Protocol):
    """A queue of operations that run one after another."""

    def record_event(self) -> Event:
        """Mark this place of the queue."""
        ...

    def wait_event(self, event: Any) -> None:
        """What is queued from here on runs after everything before the mark; the host does not wait."""
        ...


@runtime_checkable
class StreamBackend(Protocol):
    """Streams and events, under the names of `torch.cuda`, which is one; `esamp.testing` has a simulated one."""

    def Stream(self, device: Any = None, priority: int = 0) -> Stream:  # noqa: N802 (torch.cuda's name)
        """A new stream; the lower the number the sooner its operations run."""
        ...

    def current_stream(self, device: Any = None) -> Stream:
        """The stream on which the caller's operations are queued."""
        ...

    def stream(self, stream: Any) -> AbstractContextManager[Any]:
        """While entered, operations are queued on `stream`, and memory is taken from its pool."""
        ...


@final
@schedulers.register("cuda_stream")
class CudaStreamScheduler(OverlapScheduler):
    """Queues work on one side stream. The host never waits, so a step can be captured in a CUDA graph.

    `submit` lets the side wait for the caller's stream and queues the work; `wait` lets the caller's stream wait for
    the side. Nothing is freed while the side may use it: a work is kept, with all that it refers to, until the caller's
    stream has waited for it. What the side allocates needs no such care, because it allocates in `submit` only, after
    it has waited for everything that the caller did.

    The caller's stream is the one that is current in `submit` and `wait`; whatever is submitted in a graph's capture
    has to be waited for in it.

    Args:
        priority: of the side stream, from -3 (first) to 0 (the usual one of a model). The distiller's kernels are few
            and short; put first, they are done when the model needs them.
        backend: streams and events; None: `torch.cuda`.

    Raises:
        ValueError: `priority` is out of range.

    Examples:
        On streams without a device, on which races can be looked for:

        >>> from esamp.testing.streams import SimulatedMachine, races
        >>> with SimulatedMachine() as machine:
        ...     scheduler = CudaStreamScheduler(backend=machine)
        ...     numbers = torch.ones(3)
        ...     pending = scheduler.submit(lambda: numbers * 2)
        ...     doubled = scheduler.wait(pending)
        ...     _ = numbers.add_(1)  # the side has read it
        >>> doubled, races(machine.program())
        (tensor([2., 2., 2.]), [])
    """

    def __init__(self, priority: int = -1, backend: StreamBackend | None = None) -> None:
        self.priority: int = check_integer("priority", priority, low=_HIGHEST, high=_LOWEST)
        self.backend = backend
        self._streams: StreamBackend = torch.cuda if backend is None else backend
        self._device: torch.device | None = None
        self._side: Stream | None = None
        self._underway: list[_Underway] = []
        # Work may be under way when nobody will wait for it any more: after an interrupt, say.
        weakref.finalize(self, _join, self._underway).atexit = False

    @override
    def submit(self, work: Callable[[], T]) -> Pending[T]:
        if self._side is None:
            self._side = self._streams.Stream(device=self._device, priority=self.priority)
        caller = self._streams.current_stream(self._device)
        self._side.wait_event(caller.record_event())
        try:
            with self._streams.stream(self._side):
                pending = attempt(work)
        except BaseException:
            # An interrupted work has queued a part of itself, which needs what it refers to all the same.
            self._underway.append(_Underway(work, None, caller, self._side))
            raise
        self._underway.append(_Underway(work, pending, caller, self._side))
        return pending

    @override
    def wait(self, pending: Pending[T]) -> T:
        if any(work.pending is pending for work in self._underway):
            self._underway[-1].join(self._streams.current_stream(self._device))
            self._underway.clear()
        return pending.value()

    @override
    def bind(self, device: torch.device) -> OverlapScheduler:
        if self.backend is None and device.type != "cuda":
            raise ValueError(
                f"scheduler 'cuda_stream' needs a model on a CUDA device, got one on {str(device)!r}; choose 'auto'"
            )
        if device != self._device:
            self._device, self._side = device, None
        return self

    def __reduce__(self) -> tuple[type[CudaStreamScheduler], tuple[int, StreamBackend | None]]:
        # A copy has a stream of its own.
        return CudaStreamScheduler, (self.priority, self.backend)


@final
@dataclass(frozen=True)
class _Underway:
    """Work that the caller's stream has not waited for.

    Attributes:
        work: kept for what it refers to.
        pending: how the caller asks for it; None: it was interrupted.
        caller: the stream that was current when it was submitted.
        side: the stream it was queued on.
    """

    work: Callable[[], Any]
    pending: Pending[Any] | None
    caller: Stream
    side: Stream

    def join(self, stream: Stream) -> None:
        """Let `stream` wait for this work and all before it: the side works in order."""
        stream.wait_event(self.side.record_event())


def _join(underway: list[_Underway]) -> None:
    """Before the last works are let go, let the caller's stream wait for them."""
    if underway:
        underway[-1].join(underway[-1].caller)
        underway.clear()
