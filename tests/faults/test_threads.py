"""The scheduler's thread dies in the middle of a generation: an error that says so, soon, and the next one is whole."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esamp import Callback, ESampSampler
from esamp.result import GenerationResult
from esamp.schedulers import ThreadScheduler
from esamp.schedulers import thread as threads
from esamp.testing.models import tiny_model, tiny_tokenizer

STEPS = 8


@functools.cache
def sampler() -> ESampSampler:
    return ESampSampler(tiny_model(), tiny_tokenizer(), scheduler="thread", beta=1.0)


def draw(*callbacks: Callback) -> GenerationResult:
    return sampler().generate("one two", 3, max_new_tokens=STEPS, ignore_eos=True, callbacks=callbacks)


class Killer(Callback):
    """Puts into the thread's queue, after a step, what no thread survives."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_step(self, record) -> None:
        scheduler = sampler().scheduler
        if record.step == self.after and isinstance(scheduler, ThreadScheduler) and scheduler._worker is not None:
            scheduler._worker.jobs.put("no job")  # type: ignore[arg-type]
            scheduler._worker.thread.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@settings(max_examples=5)
@given(after=st.integers(0, STEPS - 2))
def test_it_ends_with_an_error_or_as_if_nothing_had_happened(after: int) -> None:
    wanted = [sample.token_ids.tolist() for sample in draw().samples[0]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_LOOK_SECONDS", 0.01)
        try:
            got = draw(Killer(after))
        except RuntimeError as error:
            assert "the scheduler's thread is gone and its work with it" in str(error)
        else:
            # All that it had was done: a new thread took over.
            assert [sample.token_ids.tolist() for sample in got.samples[0]] == wanted
    assert [sample.token_ids.tolist() for sample in draw().samples[0]] == wanted


def test_there_is_one_thread_afterwards() -> None:
    draw()
    scheduler = sampler().scheduler
    assert isinstance(scheduler, ThreadScheduler) and scheduler._worker is not None and scheduler._worker.alive
