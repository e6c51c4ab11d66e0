"""Schedulers that break one promise each. `Sound` runs work when someone waits for it, or for later work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from esamp.schedulers import OverlapScheduler, Pending


class Ticket(Pending[Any]):
    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None

    def run(self) -> None:
        self.done = True
        try:
            self.result = self.work()
        except Exception as error:
            self.error = error

    def value(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result


class Sound(OverlapScheduler):
    def __init__(self) -> None:
        self.queue: list[Ticket] = []

    def submit(self, work: Callable[[], Any]) -> Ticket:
        self.queue.append(Ticket(work))
        return self.queue[-1]

    def wait(self, pending: Any) -> Any:
        while not pending.done:
            self.queue.pop(0).run()
        return pending.value()


class RunsTheNewestFirst(Sound):
    def wait(self, pending: Any) -> Any:
        while not pending.done:
            self.queue.pop().run()
        return pending.value()


class RunsAtEachWait(Sound):
    def wait(self, pending: Any) -> Any:
        pending.run()
        return pending.value()


class RunsInManyThreads(Sound):
    def submit(self, work: Callable[[], Any]) -> Ticket:
        ticket = Ticket(work)
        ticket.thread = threading.Thread(target=ticket.run)
        ticket.thread.start()
        return ticket

    def wait(self, pending: Any) -> Any:
        pending.thread.join()
        return pending.value()


class GivesTheLatestValue(Sound):
    latest: Any = None

    def wait(self, pending: Any) -> Any:
        while not pending.done:
            ticket = self.queue.pop(0)
            ticket.run()
            self.latest = ticket.result
        pending.value()
        return self.latest


class RaisesAtSubmit(Sound):
    def submit(self, work: Callable[[], Any]) -> Ticket:
        ticket = Ticket(work)
        ticket.run()
        ticket.value()
        return ticket


class SwallowsExceptions(Sound):
    def wait(self, pending: Any) -> Any:
        super().wait(pending) if pending.error is None and not pending.done else None
        return pending.result


class StopsAfterAnException(Sound):
    def wait(self, pending: Any) -> Any:
        while not pending.done:
            ticket = self.queue.pop(0)
            ticket.run()
            ticket.value()
        return pending.value()


class RemembersByCode(Sound):
    """Takes two works of the same code for the same work."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[Any, Ticket] = {}

    def submit(self, work: Any) -> Ticket:
        if work.__code__ not in self.known:
            self.known[work.__code__] = super().submit(work)
        return self.known[work.__code__]


BROKEN: dict[type[Sound], str] = {
    RunsTheNewestFirst: "work runs in the order of submission",
    RunsAtEachWait: "work runs once",
    RunsInManyThreads: "works never run at the same time",
    GivesTheLatestValue: "the value comes through wait",
    RaisesAtSubmit: "what the work raises comes through wait, each time and nowhere else",
    SwallowsExceptions: "what the work raises comes through wait",
    StopsAfterAnException: "work that raises does not keep later work from running",
    RemembersByCode: "work sees what the caller did before submitting it",
}
"""Each broken scheduler, and words of a contract that it breaks."""
