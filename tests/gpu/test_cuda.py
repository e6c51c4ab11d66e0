"""On a CUDA device the same tokens come out as on the CPU (`make gpu`)."""

from __future__ import annotations

import pytest
import torch
from transformers import CompileConfig, PreTrainedTokenizerFast

from esamp import ESampSampler
from esamp.distillers import LowRankDistiller, RecursiveLeastSquaresDistiller
from esamp.noise import gumbel_noise
from esamp.testing.models import tiny_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_noise_is_the_cpus() -> None:
    ids, sample = torch.arange(5000).view(5, 1000), torch.arange(5)
    here = gumbel_noise(ids, 7, sample, 3)
    there = gumbel_noise(ids.cuda(), 7, sample.cuda(), 3).cpu()
    torch.testing.assert_close(there, here, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distiller", [RecursiveLeastSquaresDistiller(features=16), LowRankDistiller(rank=4)])
def test_samples_are_the_cpus(tokenizer: PreTrainedTokenizerFast, distiller: object) -> None:
    tokens = []
    for device in ("cpu", "cuda"):
        sampler = ESampSampler(tiny_model().to(device), tokenizer, distiller=distiller, beta=0.5)
        result = sampler.generate(["one two", "three four five"], n=4, max_new_tokens=12, waves=2)
        tokens.append([[sample.token_ids.tolist() for sample in samples] for samples in result.samples])
    assert tokens[0] == tokens[1]


@pytest.mark.parametrize("mode", [None, "reduce-overhead"])
def test_compiled_samples_are_the_others(tokenizer: PreTrainedTokenizerFast, mode: str | None) -> None:
    model = tiny_model().to("cuda")
    model.generation_config.eos_token_id = list(range(1, 250, 25))
    tokens = []
    for compiled in (False, CompileConfig(mode=mode)):
        sampler = ESampSampler(model, tokenizer, beta=0.5, scheduler="auto", compiled=compiled)
        results = [
            sampler.generate(["one two", "three four five"], n=8, max_new_tokens=24, seed=seed) for seed in (0, 1)
        ]
        tokens.append([sample.token_ids.tolist() for result in results for rows in result.samples for sample in rows])
    assert tokens[0] == tokens[1]
