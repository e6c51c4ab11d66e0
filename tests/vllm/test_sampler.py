"""The sampler's own call with vLLM beneath gives what it gives with the Hugging Face engine."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from esamp import Callback, ESampSampler
from esamp.result import Sample
from esamp.samplers.on_vllm import VLLMSampler
from esamp.testing.models import tiny_tokenizer
from tests.vllm.conftest import ESAMP, options

PROMPTS = ["the sea is wide", "a bird in the hand is worth two"]


# The engine in it has to outlive this module: see conftest.py.
@pytest.fixture(scope="session")
def sampler(tiny_folder: Path) -> VLLMSampler:
    more: dict[str, Any] = options(max_num_batched_tokens=1024, num_gpu_blocks_override=256)
    more.pop("dtype")
    return ESampSampler.from_pretrained(tiny_folder, engine="vllm", dtype="float32", beta=0.5, esamp=ESAMP, **more)


@pytest.fixture(scope="module")
def other(reference_model: PreTrainedModel) -> ESampSampler:
    return ESampSampler(reference_model, tiny_tokenizer(512, chat_template=True), beta=0.5)


class Finished(Callback):
    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def on_sample_end(self, sample: Sample) -> None:
        self.samples.append(sample)


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 4},
        {"n": [2, 3], "temperature": 0.8, "top_k": 20, "typical_p": 0.9},
        {"n": 4, "waves": 2},
        {"n": 3, "beta": torch.tensor([0.0, 0.25, 1.0]), "batch_size": 1},
        {"n": 3, "chat": True, "stop": "e"},
    ],
    ids=["default", "filters", "waves", "betas", "chat and stop"],
)
def test_results_are_the_same(sampler: VLLMSampler, other: ESampSampler, asked: dict[str, Any]) -> None:
    finished = Finished()
    got = sampler.generate(PROMPTS, max_new_tokens=24, seed=3, callbacks=[finished], **asked)
    wanted = other.generate(PROMPTS, max_new_tokens=24, seed=3, **asked)
    assert got.prompts == wanted.prompts
    assert got.texts == wanted.texts
    assert len(finished.samples) == sum(map(len, wanted.samples))
    for mine, theirs in zip(chain(*got.samples), chain(*wanted.samples), strict=True):
        assert (mine.prompt, mine.index, mine.finish_reason) == (theirs.prompt, theirs.index, theirs.finish_reason)
        assert mine.token_ids.tolist() == theirs.token_ids.tolist()
        for name in ("log_probs", "reference_log_probs", "novelty", "kl", "candidates"):
            torch.testing.assert_close(getattr(mine, name), getattr(theirs, name), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(got.diagnostics.loss, wanted.diagnostics.loss, atol=1e-3, rtol=1e-3, equal_nan=True)
    assert got.diagnostics.resets.tolist() == wanted.diagnostics.resets.tolist()
    assert got.diagnostics.exhausted is not None and wanted.diagnostics.exhausted is not None
    assert got.diagnostics.exhausted.tolist() == wanted.diagnostics.exhausted.tolist()


def test_what_this_engine_lacks_is_refused_by_name(sampler: VLLMSampler) -> None:
    with pytest.raises(ValueError, match="state must be None"):
        sampler.generate("the sea", state=[])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="not schedules"):
        sampler.generate("the sea", temperature=lambda step: step)
    with pytest.raises(ValueError, match="n must be at most 8"):
        sampler.generate("the sea", n=9)
    with pytest.raises(TypeError, match="distiller must be a name"):
        VLLMSampler("nowhere", distiller=object())  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="learn_prompt must be left out"):
        VLLMSampler("nowhere", learn_prompt=True)
    with pytest.raises(ValueError, match="filtering must be one of"):
        VLLMSampler("nowhere", filtering="sideways")
