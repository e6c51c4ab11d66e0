"""Memory runs out while a distiller works: plain samples from there on, counted, and the generation goes on."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from esamp import ESampSampler
from esamp.distillers import LowRankDistiller
from esamp.distillers.wrapper import DistillerWrapper
from esamp.memory import ran_out
from esamp.result import GenerationResult
from esamp.testing.models import tiny_model, tiny_tokenizer
from tests.properties.bank import LANES, SOME, grid, of, over_vocabulary, plain, run, step

PROMPTS, N, STEPS = ["one two three", "four five"], 3, 8
GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "1099511627776 bytes. Error code 12 (Cannot allocate memory)"
)
CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
_errors = [GPU, CPU, CUBLAS, MemoryError()]


def _counted() -> Any:
    return pytest.warns(RuntimeWarning, match="memory ran out while the distillers worked: .*batch_size")


class Hungry(DistillerWrapper):
    """Finds no memory from one call on, and leaves its weights half written when it does."""

    def __init__(self, error: Exception | None, call: str, at: int, until: int = 10**9) -> None:
        super().__init__(LowRankDistiller(rank=4))
        self.error, self.call, self.at, self.until, self.calls = error, call, at, until, 0

    def forward(self, shallow: Tensor) -> Tensor:
        self._eat("predict")
        return super().forward(shallow)

    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        self._eat("learn")
        return super().learn(shallow, deep, weight)

    def _eat(self, call: str) -> None:
        self.calls += call == self.call
        if call == self.call and self.error is not None and self.at < self.calls <= self.until:
            for name, buffer in self.inner.named_buffers():
                if name.startswith("weight_"):
                    buffer.fill_(torch.nan)
            raise self.error


def draw(distiller: Any, **options: Any) -> GenerationResult:
    sampler = ESampSampler(tiny_model(), tiny_tokenizer(), distiller=distiller, beta=1.0, **options.pop("parts", {}))
    return sampler.generate(PROMPTS, N, max_new_tokens=STEPS, ignore_eos=True, **options)


@functools.cache
def tokens_of(beta: float) -> list[list[list[int]]]:
    return tokens(draw(LowRankDistiller(rank=4), beta=beta))


def tokens(result: GenerationResult) -> list[list[list[int]]]:
    return [[sample.token_ids.tolist() for sample in samples] for samples in result.samples]


@settings(max_examples=8)
@given(
    error=st.sampled_from(_errors),
    call=st.sampled_from(["learn", "predict"]),
    at=st.integers(0, STEPS - 1),
    scheduler=st.sampled_from(["synchronous", "thread"]),
)
def test_the_generation_goes_on_without_the_distiller(error: Exception, call: str, at: int, scheduler: str) -> None:
    with _counted():
        result = draw(Hungry(error, call, at), parts={"scheduler": scheduler})
    assert result.diagnostics.exhausted is not None
    assert (result.diagnostics.exhausted.tolist(), result.diagnostics.resets.tolist()) == ([1, 1], [0, 0])
    # What memory was there for is what it always is; from then on nothing tilts the distribution.
    last = at if call == "predict" else at + 1
    for got, wanted in zip(tokens(result), tokens_of(1.0), strict=True):
        assert [sample[:last] for sample in got] == [sample[:last] for sample in wanted]
    for sample in (sample for samples in result.samples for sample in samples):
        assert len(sample.token_ids) == STEPS and bool(sample.log_probs.isfinite().all())
        assert (sample.kl[last:] == 0).all() and sample.novelty[last:].isnan().all()


def test_without_any_memory_it_is_plain_sampling() -> None:
    with _counted():
        result = draw(Hungry(GPU, "learn", 0))
    assert tokens(result) == tokens_of(0.0)
    assert tokens(result) != tokens_of(1.0)


def test_with_memory_nothing_is_counted() -> None:
    result = draw(Hungry(None, "learn", 0), batch_size=1)
    assert tokens(result) == tokens_of(1.0)
    assert result.diagnostics.exhausted is not None and result.diagnostics.exhausted.tolist() == [0, 0]


def test_another_batch_begins_anew() -> None:
    """The first prompt's batch meets no memory, the second's has it again; every batch has a bank of its own."""
    hungry = [GPU]

    class Once(LowRankDistiller):
        def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
            if hungry:
                raise hungry.pop()
            return super().learn(shallow, deep, weight)

    with _counted():
        result = draw(Once(rank=4), batch_size=1)
    assert result.diagnostics.exhausted is not None and result.diagnostics.exhausted.tolist() == [1, 0]
    assert tokens(result) == [tokens_of(0.0)[0], tokens_of(1.0)[1]]


@pytest.mark.parametrize("prefilter", [False, True], ids=["post-filter", "pre-filter"])
def test_a_recycled_slot_works_again_and_the_others_rest(prefilter: bool) -> None:
    bank, new = (
        of(Hungry(CPU, "learn", 2, until=3), 2, prefilter=prefilter),
        of(Hungry(None, "", 0), 2, prefilter=prefilter),
    )
    for seed in range(2):
        run(bank, step(grid(2), seed))
    with _counted():
        run(bank, step(grid(2), 2))
    assert bank.exhausted().tolist() == [1, 1]
    assert torch.equal(over_vocabulary(run(bank, step(grid(2), 3))), plain(step(grid(2), 3), SOME))
    assert bank.losses().isnan().all()
    bank.recycle(torch.tensor([1]))
    assert bank.exhausted().tolist() == [1, 0]
    for seed in range(4, 8):
        taken = step(grid(2), seed)
        got, wanted = over_vocabulary(run(bank, taken)), over_vocabulary(run(new, taken))
        assert torch.equal(got[:LANES], plain(taken, SOME)[:LANES])
        torch.testing.assert_close(got[LANES:], wanted[LANES:])
    assert bank.resets().tolist() == [0, 0]


def test_a_prompt_that_is_learnt_from_may_meet_it_too() -> None:
    with _counted():
        result = draw(Hungry(GPU, "learn", 0), parts={"learn_prompt": True})
    assert tokens(result) == tokens_of(0.0)


def test_other_errors_of_a_distiller_reach_the_caller() -> None:
    with pytest.raises(RuntimeError, match="shapes do not match"):
        draw(Hungry(RuntimeError("shapes do not match"), "learn", 1))


def test_the_allocators_own_errors_are_known() -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert ran_out(caught.value)
    assert not ran_out(RuntimeError("expected 2D")) and not ran_out(ValueError("out of memory"))
