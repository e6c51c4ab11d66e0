"""The contracts of overlap schedulers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from esamp.schedulers import OverlapScheduler
from esamp.testing.contract import Contract, check_all, contract, require

__all__ = ["SCHEDULER_CONTRACTS", "check_scheduler"]

Make = Callable[[], OverlapScheduler]

_WORKS = 50


@contract("work runs in the order of submission")
def _ordered(make: Make) -> None:
    scheduler, ran = make(), list[int]()
    pending = [scheduler.submit(lambda i=i: ran.append(i)) for i in range(_WORKS)]
    scheduler.wait(pending[-1])
    require(ran == list(range(_WORKS)), f"{_WORKS} works were submitted and ran as {ran}")


@contract("work runs once")
def _once(make: Make) -> None:
    scheduler, ran = make(), list[int]()
    pending = [scheduler.submit(lambda i=i: ran.append(i)) for i in range(_WORKS)]
    for each in [*pending, *reversed(pending)]:
        scheduler.wait(each)
    require(sorted(ran) == list(range(_WORKS)), f"{_WORKS} works, each waited for twice, ran as {ran}")


@contract("works never run at the same time")
def _alone(make: Make) -> None:
    scheduler, running, met = make(), threading.Lock(), list[int]()

    def work(i: int) -> None:
        if not running.acquire(blocking=False):
            met.append(i)
            return
        # Long enough for a second worker to walk in, if there is one.
        time.sleep(0.001)
        running.release()

    pending = [scheduler.submit(lambda i=i: work(i)) for i in range(10)]
    for each in pending:
        scheduler.wait(each)
    require(not met, f"works {met} began while another one ran")


@contract("the value comes through wait, in whatever order the works are waited for")
def _values(make: Make) -> None:
    scheduler = make()
    pending = [scheduler.submit(lambda i=i: i * i) for i in range(_WORKS)]
    for i in reversed(range(_WORKS)):
        got = scheduler.wait(pending[i])
        require(got == i * i, f"work {i} returned {i * i} and wait gave {got!r}")


@contract("what the work raises comes through wait, each time and nowhere else")
def _exceptions(make: Make) -> None:
    scheduler, error = make(), ZeroDivisionError("of the work")

    def fail() -> None:
        raise error

    try:
        pending = scheduler.submit(fail)
    except ZeroDivisionError:
        pending = None
    require(pending is not None, "submit raised what only wait may raise")
    assert pending is not None
    for _ in range(2):
        caught: BaseException | None = None
        try:
            scheduler.wait(pending)
        except ZeroDivisionError as raised:
            caught = raised
        require(caught is error, f"wait gave {caught!r} in place of the work's own {error!r}")


@contract("work that raises does not keep later work from running")
def _after_exception(make: Make) -> None:
    scheduler = make()

    def fail() -> None:
        raise ZeroDivisionError("of the work")

    scheduler.submit(fail)
    got = scheduler.wait(scheduler.submit(lambda: 7))
    require(got == 7, f"the work after one that raised returned 7 and wait gave {got!r}")


@contract("work sees what the caller did before submitting it and what earlier work did")
def _visible(make: Make) -> None:
    scheduler, box, seen = make(), [0], list[int]()
    for i in range(_WORKS):
        box[0] += 1

        def work() -> None:
            seen.append(box[0])
            box[0] *= 2

        # The caller's next step reads and writes the box again, so it waits: as the explorer does.
        scheduler.wait(scheduler.submit(work))
        expected = 2 ** (i + 1) - 1
        require(seen[-1] == expected, f"step {i} should have found {expected} and found {seen[-1]}")


SCHEDULER_CONTRACTS: tuple[Contract[OverlapScheduler], ...] = (
    _ordered,
    _once,
    _alone,
    _values,
    _exceptions,
    _after_exception,
    _visible,
)
"""All contracts of schedulers, for parametrising a test over them."""


def check_scheduler(make: Make) -> None:
    """Hold a scheduler to every contract of its zoo.

    Args:
        make: gives a fresh scheduler; the class itself, where its constructor needs no arguments.

    Raises:
        ContractError: a contract is broken; the message names it and the class.

    Examples:
        >>> from esamp.schedulers import SynchronousScheduler
        >>> check_scheduler(SynchronousScheduler)
    """
    check_all(SCHEDULER_CONTRACTS, make)
