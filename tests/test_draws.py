"""How the samples of a prompt hang together: spread evenly (arithmetic), or away from each other (in turn)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from esamp import ESampSampler
from esamp.candidates import Filters
from esamp.draws import ArithmeticDraw, GumbelDraw, InTurnDraw, TokenDraw, draws
from esamp.policy import Drawn, PlainPolicy
from esamp.rows import Rows
from esamp.testing.models import tiny_model, tiny_tokenizer

# Binary digits: every interval's ends are code points that float64 holds.
PROBS = torch.tensor([0.5, 0.0, 0.25, 0.125, 0.125])
MODEL, TOKENIZER = tiny_model(), tiny_tokenizer()


def tokens(draw: TokenDraw, n: int, steps: int = 1, *, seed: int = 0, chosen: slice = slice(None)) -> Tensor:
    """[n, steps] tokens of the samples `chosen` of n, each step from `PROBS`, whatever came before."""
    sample = torch.arange(n)[chosen]
    drawing = draw.begin(seed, sample, torch.full_like(sample, n), torch.zeros_like(sample))
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


# --- in turn


def in_turn(log_probs: Tensor, prompt: Tensor, draw: TokenDraw | None = None, seed: int = 0) -> Drawn:
    """One step: row i is the next sample of its prompt; all of them draw from rows of `log_probs`."""
    sample = (prompt.unsqueeze(1) == prompt).tril(-1).sum(dim=1)
    zeros = torch.zeros_like(sample)
    drawing = (draw or InTurnDraw()).begin(seed, sample, torch.full_like(sample, len(sample)), prompt)
    rows = Rows(prompt, sample, sample, zeros, torch.zeros(len(sample)))
    policy = PlainPolicy(Filters(), int(prompt.max()) + 1)
    policy.begin(torch.zeros(len(sample), 1), rows)
    return policy.fuse(torch.zeros(len(sample), 1), log_probs).draw(drawing, rows, torch.arange(len(sample)))


def test_siblings_at_one_place_avoid_each_others_tokens() -> None:
    alike = torch.zeros(16, 16)
    independent = [len(in_turn(alike, torch.zeros(16).long(), GumbelDraw(), seed).tokens.unique()) for seed in range(9)]
    avoiding = [len(in_turn(alike, torch.zeros(16).long(), InTurnDraw(8.0), seed).tokens.unique()) for seed in range(9)]
    assert max(independent) < 14
    assert min(avoiding) == 16


def test_what_the_model_is_sure_of_is_drawn_by_all() -> None:
    sure = torch.tensor([1 - 2e-6, 1e-6, 1e-6]).log().expand(16, -1)
    assert (in_turn(sure, torch.zeros(16).long()).tokens == 0).all()


def test_the_first_in_turn_draws_from_the_distribution_and_the_others_from_the_formula() -> None:
    probs = torch.tensor([0.5, 0.3, 0.2])
    gain, prior, counts, firsts = 1.5, 0.7, torch.zeros(3, 3), torch.zeros(3)
    for seed in range(3000):
        drawn = in_turn(probs.log().expand(2, -1), torch.zeros(2).long(), InTurnDraw(gain, prior), seed)
        first, second = drawn.tokens.tolist()
        seen = torch.nn.functional.one_hot(drawn.tokens[0], 3)
        tilted = probs * (probs / ((prior * probs + seen) / (prior + 1))) ** gain
        torch.testing.assert_close(drawn.log_probs.exp(), torch.stack([probs[first], (tilted / tilted.sum())[second]]))
        counts[first, second] += 1
        firsts[first] += 1
    assert ((firsts / 3000) - probs).abs().max() < 0.03
    for first in range(3):
        seen = torch.nn.functional.one_hot(torch.tensor(first), 3)
        tilted = probs * (probs / ((prior * probs + seen) / (prior + 1))) ** gain
        assert (counts[first] / counts[first].sum() - tilted / tilted.sum()).abs().max() < 0.06


def test_the_shares_of_many_are_those_of_the_distribution_with_less_spread() -> None:
    def gap(draw: TokenDraw) -> float:
        each = [in_turn(PROBS.log().expand(200, -1), torch.zeros(200).long(), draw, seed) for seed in range(5)]
        return max(float((shares(drawn.tokens) - PROBS).abs().max()) for drawn in each)

    assert gap(InTurnDraw()) < 0.02 < gap(GumbelDraw())


def test_without_gain_or_after_parting_draws_are_independent() -> None:
    independent = tokens(GumbelDraw(), 32, steps=4)
    assert torch.equal(tokens(InTurnDraw(gain=0.0), 32, steps=4), independent)
    turning = tokens(InTurnDraw(), 4, steps=12)
    alone = tokens(GumbelDraw(), 4, steps=12)
    parted = next(step for step in range(1, 12) if len(turning[:, :step].unique(dim=0)) == 4)
    assert torch.equal(turning[:, parted:], alone[:, parted:])


def test_prompts_do_not_see_each_other_and_the_order_of_rows_does_not_matter() -> None:
    log_probs = torch.randn(12, 9).log_softmax(dim=-1)[torch.tensor([0, 1] * 6)]
    prompt = torch.tensor([0, 1] * 6)
    together = in_turn(log_probs, prompt)
    alone = in_turn(log_probs[::2], torch.zeros(6).long())
    assert torch.equal(together.tokens[::2], alone.tokens)
    grouped = in_turn(log_probs[prompt.argsort(stable=True)], prompt.sort().values)
    assert torch.equal(grouped.tokens, together.tokens[prompt.argsort(stable=True)])


@pytest.mark.parametrize(("argument", "value"), [("gain", -1.0), ("prior", 0.0), ("gain", float("nan"))])
def test_in_turn_refuses_what_is_out_of_range(argument: str, value: float) -> None:
    with pytest.raises(ValueError, match=argument):
        InTurnDraw(**{argument: value})


@pytest.mark.parametrize("name", draws.names())
def test_every_way_of_drawing_generates(name: str) -> None:
    sampler = ESampSampler(MODEL, TOKENIZER, draw=name)
    results = [
        sampler.generate(["ab", "a longer one"], 6, max_new_tokens=6, seed=3, waves=waves, beta=beta)
        for waves, beta in ((1, 0.0), (3, 0.0), (1, 0.5))
    ]
    texts = [[sample.token_ids.tolist() for samples in result.samples for sample in samples] for result in results]
    # In turn, a wave's samples see each other and no others.
    assert (texts[0] == texts[1]) == (name != "in_turn")
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
