"""One worker thread: modes, errors, and its end."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

from esamp import ESampSampler
from esamp.schedulers import ThreadScheduler
from esamp.testing.models import tiny_model

_NAME = "esamp-distiller"


def _workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == _NAME]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    gc.collect()
    before = len(_workers())
    yield
    gc.collect()
    assert len(_workers()) == before


def test_work_runs_beside_the_caller() -> None:
    scheduler, go_on = ThreadScheduler(), threading.Event()
    pending = scheduler.submit(go_on.wait)
    go_on.set()  # in line, nobody would ever come here
    assert scheduler.wait(pending)


def test_one_thread_does_all_the_work_and_it_is_not_the_callers() -> None:
    scheduler = ThreadScheduler()
    seen = {scheduler.wait(scheduler.submit(threading.get_ident)) for _ in range(5)}
    assert len(seen) == 1
    assert threading.get_ident() not in seen


@pytest.mark.parametrize(
    "context",
    [
        torch.no_grad,
        torch.enable_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", torch.bfloat16),
        lambda: torch.autocast("cpu", torch.float16),
    ],
    ids=["no_grad", "enable_grad", "inference_mode", "autocast bfloat16", "autocast float16"],
)
def test_work_runs_in_the_modes_of_its_submission(context: Callable[[], Any]) -> None:
    scheduler = ThreadScheduler()

    def modes() -> tuple[object, ...]:
        dtype = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), dtype

    with context():
        wanted, pending = modes(), scheduler.submit(modes)
    assert scheduler.wait(pending) == wanted
    assert scheduler.wait(scheduler.submit(modes)) == modes()


def test_operations_use_as_many_threads_as_the_callers() -> None:
    scheduler, before = ThreadScheduler(), torch.get_num_threads()
    try:
        for count in (2, 3):
            torch.set_num_threads(count)
            assert scheduler.wait(scheduler.submit(torch.get_num_threads)) == count
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_request_to_stop_reaches_whoever_waits_and_later_work_runs(stop: type[BaseException]) -> None:
    def work() -> None:
        raise stop

    scheduler = ThreadScheduler()
    pending = scheduler.submit(work)
    assert scheduler.wait(scheduler.submit(lambda: 7)) == 7
    with pytest.raises(stop):
        scheduler.wait(pending)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_told_of_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = ThreadScheduler()
    scheduler.wait(scheduler.submit(lambda: 1))
    worker = scheduler._worker
    assert worker is not None
    worker.jobs.put("no job")  # type: ignore[arg-type]  (the thread dies of it)
    pending = scheduler.submit(lambda: 2)
    monkeypatch.setattr("esamp.schedulers.thread._LOOK_SECONDS", 0.01)
    with pytest.raises(RuntimeError, match="the scheduler's thread is gone and its work with it"):
        scheduler.wait(pending)
    with pytest.raises(RuntimeError, match="has not run yet"):
        pending.value()
    assert scheduler.wait(scheduler.submit(lambda: 3)) == 3


def test_work_that_waits_for_its_own_thread_is_refused() -> None:
    scheduler = ThreadScheduler()
    pending = scheduler.submit(lambda: scheduler.wait(scheduler.submit(lambda: 1)))
    with pytest.raises(RuntimeError, match="must not wait for later work of its own scheduler"):
        scheduler.wait(pending)


def test_a_copy_works_in_a_thread_of_its_own() -> None:
    scheduler = ThreadScheduler()
    first = scheduler.wait(scheduler.submit(threading.get_ident))
    for other in (copy.copy(scheduler), copy.deepcopy(scheduler), pickle.loads(pickle.dumps(scheduler))):
        assert other.wait(other.submit(threading.get_ident)) != first


def test_a_copied_and_collected_sampler_leaves_no_thread(tokenizer: Any) -> None:
    before = len(_workers())
    sampler = ESampSampler(tiny_model(), tokenizer, scheduler="thread")
    wanted = sampler.generate("one two", n=2, max_new_tokens=4).texts
    other = copy.deepcopy(sampler)
    assert other.generate("one two", n=2, max_new_tokens=4).texts == wanted
    assert len(_workers()) == before + 2
    del sampler, other
    gc.collect()
    assert len(_workers()) == before


def test_the_last_reference_may_go_in_the_thread_itself() -> None:
    held, go_on = [ThreadScheduler()], threading.Event()
    held[0].submit(lambda: (go_on.wait(), held.clear(), gc.collect()))
    (worker,) = [thread for thread in _workers() if thread is held[0]._worker.thread]
    go_on.set()
    worker.join(10)
    assert not worker.is_alive()


def test_a_forked_process_is_told_of_lost_work_and_gets_a_thread() -> None:
    code = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
from esamp.schedulers import ThreadScheduler
scheduler, go_on = ThreadScheduler(), threading.Event()
pending = scheduler.submit(go_on.wait)
child = os.fork()
if child == 0:
    try:
        scheduler.wait(pending)
    except RuntimeError as error:
        os._exit(0 if "forked" in str(error) and scheduler.wait(scheduler.submit(lambda: 7)) == 7 else 1)
    os._exit(2)
go_on.set()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    _run(code)


@pytest.mark.parametrize("work", ["lambda: time.sleep(0.2)", "lambda: 1 / 0", "lambda: torch.ones(500, 500) @ ones"])
def test_the_interpreter_exits_while_work_is_under_way(work: str) -> None:
    code = f"""
import time, torch
from esamp.schedulers import ThreadScheduler
ones, scheduler = torch.ones(500, 500), ThreadScheduler()
for _ in range(3):
    scheduler.submit({work})
"""
    assert _run(code) == ""


def _run(code: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stderr
