from __future__ import annotations

import math
from dataclasses import asdict

import pytest
import torch

from esamp.metrics import Scores, score, score_samples
from esamp.result import Diagnostics, GenerationResult, Sample


def sample(prompt: int, index: int, text: str, probability: float, tokens: int = 2) -> Sample:
    numbers = torch.full((tokens,), math.log(probability))
    ids = torch.arange(tokens)
    return Sample(prompt, index, text, ids, numbers - 1, numbers, numbers, numbers, ids, "length")


def result(*samples: list[Sample]) -> GenerationResult:
    diagnostics = Diagnostics(torch.zeros(len(samples), 2), torch.zeros(len(samples), dtype=torch.int64))
    return GenerationResult(["p"] * len(samples), list(samples), diagnostics)


def first_letter(texts) -> torch.Tensor:
    """An embedder: texts with the same first letter are equal, the others orthogonal."""
    return torch.eye(26)[[ord(text[0]) - ord("a") for text in texts]]


SAME = [sample(0, 0, "a b c", 0.5), sample(0, 1, "a b c", 0.5)]
DIFFERENT = [sample(1, 0, "b c", 0.25, tokens=4), sample(1, 1, "d e", 0.25, tokens=6)]


def test_scores_of_one_prompt():
    wanted = {"vendi": 1, "cosine": 1, "distinct_2": 0.5, "repetition": 0, "perplexity": 2, "mean_length": 2}
    got = asdict(score_samples(SAME, first_letter))
    assert got == pytest.approx(wanted | {"tokens_per_second": math.nan}, nan_ok=True)


def test_scores_are_averaged_over_prompts_and_speed_is_of_the_whole_run():
    wanted = {"vendi": 1.5, "cosine": 0.5, "distinct_2": 0.75, "repetition": 0, "perplexity": 3, "mean_length": 3.5}
    got = asdict(score(result(SAME, DIFFERENT), first_letter, seconds=2.0))
    assert got == pytest.approx(wanted | {"tokens_per_second": 7})


def test_what_was_not_measured_is_nan():
    got = score(result(SAME), None)
    assert math.isnan(got.vendi) and math.isnan(got.cosine) and math.isnan(got.tokens_per_second)
    assert got.distinct_2 == 0.5


def test_a_single_sample_has_scores():
    got = score(result(SAME[:1]), first_letter)
    assert got.vendi == pytest.approx(1) and math.isnan(got.cosine)


def test_nothing_cannot_be_averaged():
    with pytest.raises(ValueError, match="at least one"):
        Scores.mean([])
