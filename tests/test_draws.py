"""Arithmetic sampling: exact draws of each sample, spread evenly over all of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from esamp import ESampSampler
from esamp.candidates import Filters
from esamp.draws import ArithmeticDraw, GumbelDraw, TokenDraw, draws
from esamp.policy import PlainPolicy
from esamp.rows import Rows
from esamp.testing.models import tiny_model, tiny_tokenizer

# Binary digits: every interval's ends are code points that float64 holds.
PROBS = torch.tensor([0.5, 0.0, 0.25, 0.125, 0.125])
MODEL, TOKENIZER = tiny_model(), tiny_tokenizer()


def tokens(draw: TokenDraw, n: int, steps: int = 1, *, seed: int = 0, chosen: slice = slice(None)) -> Tensor:
    """[n, steps] tokens of the samples `chosen` of n, each step from `PROBS`, whatever came before."""
    sample = torch.arange(n)[chosen]
    drawing = draw.begin(seed, sample, torch.full_like(sample, n))
    rows = Rows(torch.zeros_like(sample), sample, sample, torch.zeros_like(sample), torch.zeros(len(sample)))
    policy, found = PlainPolicy(Filters()), list[Tensor]()
    for _ in range(steps):
        policy.begin(torch.zeros(len(sample), 1), rows)
        fused = policy.fuse(torch.zeros(len(sample), 1), PROBS.log().expand(len(sample), -1))
        found.append(fused.draw(drawing, rows, torch.arange(len(sample))).tokens)
        rows = rows.advance()
    return torch.stack(found, dim=1)


def shares(drawn: Tensor) -> Tensor:
    return drawn.bincount(minlength=len(PROBS)) / len(drawn)


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_the_first_tokens_of_n_samples_are_the_distribution_itself(seed: int) -> None:
    assert torch.equal(shares(tokens(ArithmeticDraw(), 8, seed=seed)[:, 0]), PROBS)
    assert torch.equal(shares(tokens(ArithmeticDraw(), 800, seed=seed)[:, 0]), PROBS)


def test_the_first_two_tokens_are_spread_evenly_too() -> None:
    drawn = tokens(ArithmeticDraw(), 64, steps=2)
    pairs = (drawn[:, 0] * 5 + drawn[:, 1]).bincount(minlength=25) / 64
    assert torch.equal(pairs, torch.outer(PROBS, PROBS).flatten())
    independent = tokens(GumbelDraw(), 64, steps=2)
    assert not torch.equal((independent[:, 0] * 5 + independent[:, 1]).bincount(minlength=25) / 64, pairs)


def test_over_seeds_one_sample_follows_the_distribution() -> None:
    drawn = torch.stack([tokens(ArithmeticDraw(), 3, seed=seed, chosen=slice(1, 2))[0] for seed in range(1000)])
    assert (shares(drawn[:, 0]) - PROBS).abs().max() < 0.05


def test_long_texts_do_not_use_the_code_point_up() -> None:
    # Without new digits a code point of 53 of them is 0 after 53 bits of text, and all further tokens are token 0.
    late = tokens(ArithmeticDraw(), 16, steps=300)[:, 100:]
    assert (shares(late.flatten()) - PROBS).abs().max() < 0.05


def test_waves_are_parts_of_the_same_n() -> None:
    whole = tokens(ArithmeticDraw(), 8, steps=5)
    parts = [tokens(ArithmeticDraw(), 8, steps=5, chosen=slice(start, start + 4)) for start in (0, 4)]
    assert torch.equal(torch.cat(parts), whole)


def test_impossible_tokens_and_empty_places_are_never_drawn() -> None:
    assert not (tokens(ArithmeticDraw(), 1000) == 1).any()


@pytest.mark.parametrize("name", draws.names())
def test_every_way_of_drawing_generates(name: str) -> None:
    sampler = ESampSampler(MODEL, TOKENIZER, draw=name)
    results = [
        sampler.generate(["ab", "a longer one"], 6, max_new_tokens=6, seed=3, waves=waves, beta=beta)
        for waves, beta in ((1, 0.0), (3, 0.0), (1, 0.5))
    ]
    texts = [[sample.token_ids.tolist() for samples in result.samples for sample in samples] for result in results]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    assert results[0].settings["draw"] == name
    alone = sampler.generate("ab", 6, max_new_tokens=6, seed=3, beta=0.0)
    assert [sample.token_ids.tolist() for sample in alone.samples[0]] == texts[0][:6]


def test_a_models_first_tokens_are_spread_over_its_distribution() -> None:
    sampler = ESampSampler(MODEL, TOKENIZER, draw="arithmetic", beta=0.0)
    result = sampler.generate("ab", 200, max_new_tokens=1, ignore_eos=True, top_k=4, min_p=None)
    firsts = torch.stack([sample.token_ids[0] for sample in result.samples[0]])
    probs = {int(s.token_ids[0]): float(s.log_probs[0].exp()) for s in result.samples[0]}
    for token, prob in probs.items():
        assert abs(int((firsts == token).sum()) - 200 * prob) <= 1
