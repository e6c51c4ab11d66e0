"""Every family that people sample from: without β both doors give transformers' own samples, token for token."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from esamp import ESampSampler, MLPDistiller
from esamp.testing.models import FAMILIES, tiny_model, tiny_tokenizer
from tests.engines.generated import generated

TOKENIZER = tiny_tokenizer()
# The first is longer than the sliding windows; beside it, the second is padded.
PROMPTS = ["Once upon a time there was a cat and a dog", "Hi"]
N, STEPS = 3, 10


@pytest.mark.parametrize(
    "filters", [{"top_k": 0}, {"temperature": 0.7, "top_k": 20, "top_p": 0.9, "min_p": 0.02}], ids=str
)
@pytest.mark.parametrize("family", FAMILIES)
def test_without_beta_both_doors_give_the_samples_of_transformers(family: str, filters: dict[str, Any]) -> None:
    model = tiny_model(family)
    model.generation_config.eos_token_id = list(range(1, 250, 25))
    wanted = generated(model, TOKENIZER, PROMPTS, n=N, seed=3, max_new_tokens=STEPS, **filters)
    sampler = ESampSampler(model, TOKENIZER, distiller=MLPDistiller(width=8, lr=0.01), beta=0.0)
    inputs = TOKENIZER(PROMPTS, padding=True, return_tensors="pt", return_token_type_ids=False)
    settings = {"max_new_tokens": STEPS, "seed": 3} | filters
    inside = model.generate(**inputs, custom_generate=sampler, do_sample=True, num_return_sequences=N, **settings)
    assert torch.equal(inside, wanted)
    own = sampler.generate(PROMPTS, n=N, **{"min_p": None} | settings | {"top_k": filters["top_k"] or None})
    length = inputs["input_ids"].shape[1]
    for row, sample in zip(wanted[:, length:], (s for samples in own.samples for s in samples), strict=True):
        end = len(sample.token_ids)
        assert row[:end].tolist() == sample.token_ids.tolist()
        assert (row[end:] == TOKENIZER.pad_token_id).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_with_beta_both_doors_give_the_same_samples_and_others_than_without(family: str) -> None:
    model = tiny_model(family)
    sampler = ESampSampler(model, TOKENIZER, distiller=MLPDistiller(width=8, lr=0.01), beta=0.5)
    inputs = TOKENIZER(PROMPTS, padding=True, return_tensors="pt", return_token_type_ids=False)
    inside = {
        beta: model.generate(
            **inputs,
            custom_generate=sampler,
            beta=beta,
            do_sample=True,
            num_return_sequences=N,
            max_new_tokens=STEPS,
            eos_token_id=TOKENIZER.eos_token_id,
        )
        for beta in (0.0, 0.5)
    }
    own = sampler.generate(PROMPTS, n=N, max_new_tokens=STEPS, top_k=50, min_p=None)
    drawn = inside[0.5][:, inputs["input_ids"].shape[1] :]
    for row, sample in zip(drawn, (s for samples in own.samples for s in samples), strict=True):
        assert row[: len(sample.token_ids)].tolist() == sample.token_ids.tolist()
    assert not torch.equal(inside[0.0], inside[0.5])
