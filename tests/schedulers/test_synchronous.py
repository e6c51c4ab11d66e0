"""Work runs in line."""

from __future__ import annotations

import pytest

from esamp.schedulers import SynchronousScheduler


def test_work_is_done_when_submit_returns() -> None:
    scheduler, done = SynchronousScheduler(), []
    scheduler.submit(lambda: done.append(1))
    assert done == [1]


def test_an_error_waits_for_whoever_asks_for_the_value() -> None:
    scheduler = SynchronousScheduler()
    pending = scheduler.submit(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        pending.value()
    with pytest.raises(ZeroDivisionError):
        scheduler.wait(pending)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_request_to_stop_is_not_put_off(stop: type[BaseException]) -> None:
    def work() -> None:
        raise stop

    with pytest.raises(stop):
        SynchronousScheduler().submit(work)
