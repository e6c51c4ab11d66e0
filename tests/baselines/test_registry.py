"""Every sampler goes by its name, with plain values, and gives the same result type."""

from __future__ import annotations

from typing import Any

import pytest

from esamp import ESampSampler
from esamp.baselines import samplers
from esamp.result import GenerationResult
from esamp.testing.models import tiny_model, tiny_tokenizer

MODEL, TOKENIZER = tiny_model(), tiny_tokenizer(chat_template=True)
OWN: dict[str, dict[str, Any]] = {"contrastive": {"amateur": tiny_model(seed=1)}}


def test_the_registry_names_them_all() -> None:
    assert samplers.names() == [
        *("beam", "contrastive", "diverse_beam", "esamp", "override", "plain", "stochastic_beam"),
    ]
    assert samplers.resolve("esamp") is ESampSampler


@pytest.mark.parametrize("name", samplers.names())
def test_every_sampler_generates_alike(name: str) -> None:
    made: Any = samplers.resolve(name)
    sampler = made(MODEL, TOKENIZER, **OWN.get(name, {}))
    asked: dict[str, Any] = {"n": 3, "max_new_tokens": 4, "seed": 1, "chat": True, "batch_size": 1, "stop": ["zq"]}
    result = sampler.generate(["one", "two and more"], **asked)
    assert isinstance(result, GenerationResult)
    assert [len(samples) for samples in result.samples] == [3, 3]
    assert [[sample.index for sample in samples] for samples in result.samples] == [[0, 1, 2]] * 2
    for sample in (sample for samples in result.samples for sample in samples):
        assert sample.reference_log_probs.isfinite().all()
        assert sample.finish_reason in {"eos", "stop", "length"}
        assert sample.to_dict()["text"] == sample.text
    again = sampler.generate(["one", "two and more"], **asked)
    assert again.texts == result.texts
    assert result.settings["seed"] == 1
    assert sampler.describe().startswith("1. ")


@pytest.mark.parametrize("name", samplers.names())
def test_every_sampler_refuses_by_name(name: str) -> None:
    made: Any = samplers.resolve(name)
    with pytest.raises(ValueError, match=r"^max_new_tokens must be"):
        made(MODEL, TOKENIZER, **OWN.get(name, {})).generate("one", 2, max_new_tokens=0)
