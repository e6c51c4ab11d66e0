"""Loops, cuts, relevance and the cosine over steps."""

from __future__ import annotations

import math

import pytest
import torch

from esamp.metrics import cosine_curve, is_looping, looping_rate, mean_pairwise_cosine, relevance, truncation_rate


def wobbling() -> torch.Tensor:
    """Two letters in a random order with full stops between, as in "A.A.R.A.R.R."."""
    letters = torch.randint(2, (20,), generator=torch.Generator().manual_seed(0))
    return torch.stack([letters, torch.full((20,), 9)], dim=1).flatten()


def test_a_loop_is_one_whether_it_wobbles_or_not_and_only_if_it_comes_last():
    text = torch.randperm(500, generator=torch.Generator().manual_seed(1))[:100]
    loop = torch.tensor([7, 8, 9]).repeat(20)
    assert is_looping(loop) and is_looping(wobbling()) and is_looping(torch.cat([text, loop]))
    assert not is_looping(text) and not is_looping(torch.cat([loop, text]))
    assert not is_looping(loop[:31]) and not is_looping(loop[:0])
    assert looping_rate([loop, text]) == 0.5


def test_the_share_is_of_repeated_fourgrams_in_the_window():
    # Of the 5 four-grams of 8 tokens (1 2 3 1 2 3 1 2) three differ.
    ids = torch.tensor([1, 2, 3, 1, 2, 3, 1, 2])
    assert is_looping(ids, window=8, share=0.39) and not is_looping(ids, window=8, share=0.41)


def test_rates_of_nothing_are_undefined_and_arguments_are_checked():
    assert math.isnan(looping_rate([])) and math.isnan(truncation_rate([]))
    assert truncation_rate(["length", "eos", "stop"]) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="window must be an integer >= 8, got 4"):
        is_looping(wobbling(), window=4)
    with pytest.raises(ValueError, match="share must be"):
        is_looping(wobbling(), share=1.0)


def test_relevance_is_the_mean_cosine_to_the_prompt():
    prompt, rows = torch.tensor([0.6, 0.8]), torch.tensor([[1.0, 0.0], [0.6, 0.8], [-0.6, -0.8]])
    assert relevance(prompt, rows) == pytest.approx((0.6 + 1 - 1) / 3, abs=1e-6)
    with pytest.raises(ValueError, match="row 0 has length 2"):
        relevance(torch.tensor([2.0, 0.0]), rows)


def by_last_letter(texts) -> torch.Tensor:
    return torch.eye(26)[[ord(text[-1]) - ord("a") for text in texts]]


def letters(ids: list[int]) -> str:
    return "".join(chr(ord("a") + token) for token in ids)


def test_the_curve_embeds_prefixes_and_samples_that_ended_stay_what_they_were():
    ids = [torch.tensor([0, 1, 2, 3]), torch.tensor([0, 1]), torch.tensor([0, 2, 2, 1])]
    curve = cosine_curve(ids, letters, by_last_letter, steps=(1, 2, 3, 4, 8))
    # Last letters: aaa; b b c; c b c; d b b.
    assert curve == pytest.approx({1: 1, 2: 1 / 3, 3: 1 / 3, 4: 1 / 3})
    whole = mean_pairwise_cosine(by_last_letter([letters(sample.tolist()) for sample in ids]))
    assert curve[4] == pytest.approx(whole)


def test_a_step_and_the_samples_are_checked():
    with pytest.raises(ValueError, match=r"steps\[1\] must be an integer >= 1, got 0"):
        cosine_curve([torch.tensor([1])], letters, by_last_letter, steps=(1, 0))
    with pytest.raises(ValueError, match="at least one sample"):
        cosine_curve([], letters, by_last_letter)
