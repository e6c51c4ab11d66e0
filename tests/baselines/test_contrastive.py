"""Contrastive decoding: what is drawn from, by hand from the two models' own forwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from esamp.baselines import ContrastiveSampler, PlainSampler
from esamp.result import GenerationResult
from esamp.testing.models import tiny_model, tiny_tokenizer

MODEL, AMATEUR, TOKENIZER = tiny_model(), tiny_model("gpt2", seed=1), tiny_tokenizer()


def last(model: Any, ids: list[int]) -> Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1].float()


def ids(result: GenerationResult) -> list[list[int]]:
    return [sample.token_ids.tolist() for samples in result.samples for sample in samples]


@pytest.mark.parametrize(("a", "b", "tau"), [(1.0, 1.0, 1.0), (1.5, 0.5, 0.5)])
def test_every_token_is_drawn_from_the_contrast(a: float, b: float, tau: float) -> None:
    sampler = ContrastiveSampler(
        MODEL, TOKENIZER, amateur=AMATEUR, expert_weight=a, amateur_weight=b, amateur_temperature=tau, alpha=0.2
    )
    result = sampler.generate(["ab", "a longer one"], 3, max_new_tokens=8, temperature=0.7, min_p=None, stop="t")
    assert len({len(sample.token_ids) for samples in result.samples for sample in samples}) > 1
    for samples, text in zip(result.samples, ("ab", "a longer one"), strict=True):
        prompt = sampler.engine.encode(text, templated=False)
        for sample in samples:
            for step, token in enumerate(sample.token_ids.tolist()):
                context = prompt + sample.token_ids[:step].tolist()
                log_p, log_q = last(MODEL, context).log_softmax(-1), (last(AMATEUR, context) / tau).log_softmax(-1)
                plausible = log_p.exp() >= 0.2 * log_p.exp().max()
                scores = (a * log_p - b * log_q).masked_fill(~plausible, -torch.inf) / 0.7
                torch.testing.assert_close(sample.log_probs[step], scores.log_softmax(-1)[token], atol=1e-3, rtol=1e-3)
                assert int(sample.candidates[step]) == int(plausible.sum())


def test_an_amateur_without_weight_leaves_plain_sampling() -> None:
    asked: dict[str, Any] = {"n": 4, "max_new_tokens": 6, "seed": 1, "temperature": 1.2}
    contrastive = ContrastiveSampler(MODEL, TOKENIZER, amateur=AMATEUR, amateur_weight=0.0, alpha=0.0)
    plain = PlainSampler(MODEL, TOKENIZER).generate(["ab", "abc"], **asked)
    assert ids(contrastive.generate(["ab", "abc"], **asked)) == ids(plain)


def test_the_amateur_goes_by_its_folder(tmp_path: Path) -> None:
    AMATEUR.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    asked: dict[str, Any] = {"n": 2, "max_new_tokens": 4}
    by_name = ContrastiveSampler(MODEL, TOKENIZER, amateur=str(tmp_path))
    assert ids(by_name.generate("ab", **asked)) == ids(
        ContrastiveSampler(MODEL, TOKENIZER, amateur=AMATEUR).generate("ab", **asked)
    )
    assert "1 log p - 1 log q" in by_name.describe()


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^amateur must have the model's vocabulary of 256 tokens, got one of 300"):
        ContrastiveSampler(MODEL, TOKENIZER, amateur=tiny_model(vocab_size=300))
