"""The side stream on a real device: the same tokens, no synchronisation, and a step in a CUDA graph (`make gpu`)."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from esamp import ESampSampler
from esamp.bank import Bank
from esamp.candidates import Filters
from esamp.distillers import Distiller, LowRankDistiller
from esamp.draws import GumbelDraw
from esamp.explorer import Explorer
from esamp.fusion import BetaMix
from esamp.head import Head
from esamp.llm import FrozenLLM
from esamp.rows import Rows
from esamp.schedulers import CudaStreamScheduler, OverlapScheduler, SynchronousScheduler
from esamp.testing import check_scheduler
from esamp.testing.models import tiny_model
from tests.schedulers.course import SMALL, same

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

_GROUPS, _LANES, _WIDTH, _VOCABULARY = 2, 3, 64, 128


def test_it_keeps_the_contract() -> None:
    check_scheduler(CudaStreamScheduler)


@pytest.mark.parametrize("waves", [1, 2])
@pytest.mark.parametrize("distiller", ["recursive_least_squares", "low_rank", "noise", "hierarchical"])
def test_a_generation_is_the_synchronous_one(tokenizer: PreTrainedTokenizerFast, distiller: str, waves: int) -> None:
    model = tiny_model().cuda()
    model.generation_config.eos_token_id = list(range(1, 256, 7))

    def generate(scheduler: Any) -> list[Tensor]:
        sampler = ESampSampler(model, tokenizer, distiller=SMALL[distiller](), scheduler=scheduler, beta=1.0)
        result = sampler.generate(["one two", "three four five"], n=4, max_new_tokens=24, waves=waves, min_p=None)
        samples = [sample for samples in result.samples for sample in samples]
        return [*(sample.token_ids for sample in samples), *(sample.log_probs for sample in samples)]

    wanted = generate("synchronous")
    for scheduler in ("cuda_stream", "auto", CudaStreamScheduler(priority=0)):
        assert same(generate(scheduler), wanted)


def test_auto_takes_the_stream(tokenizer: PreTrainedTokenizerFast) -> None:
    assert type(ESampSampler(tiny_model().cuda(), tokenizer, scheduler="auto").scheduler) is CudaStreamScheduler


def test_submit_and_wait_do_not_wait_for_the_device() -> None:
    scheduler = CudaStreamScheduler()
    numbers = torch.ones(1000, 1000, device="cuda")
    scheduler.wait(scheduler.submit(lambda: numbers @ numbers))
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        pending = scheduler.submit(lambda: (torch.cuda.current_stream(), numbers @ numbers))
        stream, product = scheduler.wait(pending)
        total = product.sum()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert stream != torch.cuda.current_stream()
    assert stream.priority < torch.cuda.default_stream().priority
    assert float(total) == 1e9


def test_memory_that_the_caller_lets_go_is_not_given_away_under_the_work() -> None:
    scheduler, results = CudaStreamScheduler(), list[Tensor]()
    for number in range(50):
        numbers = torch.full((1 << 20,), float(number), device="cuda")

        def work(numbers: Tensor = numbers) -> None:
            torch.cuda._sleep(2_000_000)  # the caller is long past by then
            results.append(numbers.mean())

        pending = scheduler.submit(work)
        del numbers, work
        torch.full((1 << 20,), -1.0, device="cuda")  # would take the memory
        if number % 5 == 4:
            scheduler.wait(pending)
    assert [float(result) for result in results] == [float(number) for number in range(50)]


def test_a_run_that_is_broken_off_leaves_no_work_behind() -> None:
    scheduler, numbers = CudaStreamScheduler(), torch.zeros(1 << 20, device="cuda")

    def work(numbers: Tensor = numbers) -> None:
        torch.cuda._sleep(20_000_000)
        numbers.add_(1)

    scheduler.submit(work)
    del scheduler, numbers, work
    gc.collect()
    others = torch.full((1 << 20,), 5.0, device="cuda")
    torch.cuda.synchronize()
    assert bool((others == 5).all())


class _Mind:
    """An explorer whose inputs stand at fixed places, as a graph needs them."""

    def __init__(self, distiller: Distiller, scheduler: OverlapScheduler) -> None:
        generator = torch.Generator().manual_seed(0)
        head = Head(torch.randn(_VOCABULARY, _WIDTH, generator=generator).cuda())
        bank = Bank(distiller, BetaMix(), FrozenLLM(head), _GROUPS)
        scheduler = scheduler.bind(torch.device("cuda", torch.cuda.current_device()))
        self.explorer = Explorer(bank, _LANES, scheduler, Filters())
        self.rows = Rows.of_prompts(torch.arange(_GROUPS).cuda(), torch.ones(_GROUPS, _LANES).cuda())
        self.shallow, self.deep = torch.zeros(2, len(self.rows), _WIDTH, device="cuda")
        self.head = head

    def feed(self, step: int) -> None:
        generator = torch.Generator().manual_seed(step)
        values = torch.randn(2, len(self.rows), _WIDTH, generator=generator).cuda()
        self.shallow.copy_(values[0])
        self.deep.copy_(values[1])

    def step(self) -> list[Tensor]:
        self.explorer.begin(self.shallow, self.rows)
        fused = self.explorer.fuse(self.deep, self.head.full(self.deep))
        drawn = fused.draw(GumbelDraw().begin(3, self.rows.sample, self.rows.sample), self.rows, self.rows.sample)
        self.explorer.learn(self.deep, drawn.tokens)
        return [drawn.tokens, fused.log_probs, self.explorer.losses()]


@torch.no_grad()
def test_a_captured_step_gives_the_tokens_of_the_synchronous_one() -> None:
    wanted, eager = list[list[Tensor]](), _Mind(LowRankDistiller(rank=4, lr=1e-2), SynchronousScheduler())
    captured = _Mind(LowRankDistiller(rank=4, lr=1e-2), CudaStreamScheduler())
    for step in range(8):
        eager.feed(step)
        wanted.append([value.clone() for value in eager.step()])
    # Three steps warm up, on a stream that is not the default one, as PyTorch asks for.
    warm = torch.cuda.Stream()
    warm.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(warm):
        for step in range(3):
            captured.feed(step)
            assert same([value.clone() for value in captured.step()], wanted[step])
    torch.cuda.current_stream().wait_stream(warm)
    graph = torch.cuda.CUDAGraph()
    # A capture queues nothing: the state is that of three steps until the first replay.
    with torch.cuda.graph(graph):
        results = captured.step()
    for step in range(3, 8):
        captured.feed(step)
        graph.replay()
        for got, value in zip(results, wanted[step], strict=True):
            torch.testing.assert_close(got, value, rtol=1e-5, atol=1e-5)
        assert torch.equal(results[0], wanted[step][0])
