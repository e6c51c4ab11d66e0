"""Overlap on a CPU: the distiller works in a thread of its own."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar, final

from typing_extensions import override

from esamp.schedulers.base import OverlapScheduler, Pending, schedulers
from esamp.schedulers.modes import ThreadModes

__all__ = ["ThreadScheduler"]

T = TypeVar("T")

# How often somebody who waits looks whether the thread is still there. Only a fork or the like ends it.
_LOOK_SECONDS = 1.0


@final
@schedulers.register("thread")
class ThreadScheduler(OverlapScheduler):
    """Runs work in one worker thread, in order, under the caller's autograd modes.

    PyTorch's operations let go of the interpreter while they run, so the worker computes beside the caller. The thread
    starts with the first work and ends with the scheduler, or with the interpreter.

    Examples:
        >>> scheduler = ThreadScheduler()
        >>> scheduler.wait(scheduler.submit(lambda: 6 * 7))
        42
    """

    def __init__(self) -> None:
        self._worker: _Worker | None = None

    @override
    def submit(self, work: Callable[[], T]) -> Pending[T]:
        # In a forked process there is no thread but the one that forked.
        if self._worker is None or not self._worker.alive:
            self._worker = _Worker()
            weakref.finalize(self, self._worker.stop)
        job = _Job(work, self._worker)
        self._worker.jobs.put(job)
        return job

    @override
    def wait(self, pending: Pending[T]) -> T:
        if isinstance(pending, _Job):
            pending.join()
        return pending.value()

    def __reduce__(self) -> tuple[type[ThreadScheduler], tuple[()]]:
        # A copy has a thread of its own.
        return ThreadScheduler, ()


@final
class _Worker:
    """A thread and the queue it works off. It knows nothing of the scheduler, which can therefore be collected."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        # A daemon, because the interpreter waits for others before it lets anyone tell them to stop.
        self.thread = threading.Thread(target=_serve, args=(self.jobs,), name="esamp-distiller", daemon=True)
        self.thread.start()

    @property
    def alive(self) -> bool:
        return self.thread.is_alive()

    def stop(self) -> None:
        """Let the thread finish what it has and end; called when the scheduler is collected and at exit."""
        self.jobs.put(None)
        # Work itself may hold the last reference to the scheduler.
        if self.thread is not threading.current_thread():
            self.thread.join()


def _serve(jobs: SimpleQueue[_Job[Any] | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        del job  # or the thread would keep the job until the next one comes


@final
class _Job(Pending[T], Generic[T]):
    """Work on its way through the thread."""

    def __init__(self, work: Callable[[], T], worker: _Worker) -> None:
        self._works = [work]
        self._worker = worker
        self._modes = ThreadModes.current()
        self._done = threading.Event()
        self._results: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Work; in the thread."""
        try:
            with self._modes.entered():
                self._results.append(self._works.pop()())
        except BaseException as error:  # a request to exit, too, ends this work alone and reaches whoever waits for it
            self._error = error
        self._done.set()

    def join(self) -> None:
        """Wait until the work is done.

        Raises:
            RuntimeError: it never will be.
        """
        if threading.current_thread() is self._worker.thread and not self._done.is_set():
            raise RuntimeError(
                "work must not wait for later work of its own scheduler: the thread would wait for itself"
            )
        while not self._done.wait(_LOOK_SECONDS):
            if not self._worker.alive:
                raise RuntimeError(
                    "the scheduler's thread is gone and its work with it: was the process forked between submit and "
                    "wait? Begin the generation anew"
                )

    @override
    def value(self) -> T:
        if self._error is not None:
            raise self._error
        if not self._results:
            raise RuntimeError("the work has not run yet; ask the scheduler's wait for its value")
        return self._results[0]
