"""Plain sampling, and draws from what a policy gives."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from esamp.candidates import Filters
from esamp.draws import GumbelDraw
from esamp.policy import Drawn, Fused, PlainPolicy
from esamp.rows import Rows

_LOGITS = torch.randn(6, 30, generator=torch.Generator().manual_seed(0))


def _deep(rows: int) -> torch.Tensor:
    return torch.zeros(rows, 4)


def _rows(count: int) -> Rows:
    return Rows.of_prompts(torch.zeros(1, dtype=torch.int64), torch.ones(1, count))


def _plain(filters: Filters, logits: torch.Tensor = _LOGITS) -> Fused:
    policy = PlainPolicy(filters)
    policy.begin(_deep(len(logits)), _rows(len(logits)))
    return policy.fuse(_deep(len(logits)), logits)


def _draw(fused: Fused, seed: int, rows: Rows) -> Drawn:
    return fused.draw(GumbelDraw().begin(seed, rows.sample, rows.sample, rows.sample), rows, rows.sample)


def test_plain_sampling_is_the_softmax_of_what_the_filters_keep() -> None:
    filters = Filters(temperature=0.7, top_k=5)
    fused = _plain(filters)
    probs = torch.zeros(6, 30).scatter_add(-1, fused.candidates.ids, fused.log_probs.exp())
    wanted = (_LOGITS / 0.7).masked_fill(~filters.keep(_LOGITS), -torch.inf).softmax(-1)
    torch.testing.assert_close(probs, wanted)


def test_plain_sampling_has_no_novelty_no_tilt_and_no_losses() -> None:
    policy = PlainPolicy(Filters(), groups=2)
    policy.begin(_deep(6), _rows(6))
    fused = policy.fuse(_deep(6), _LOGITS)
    policy.learn(_deep(6), torch.zeros(6, dtype=torch.int64))
    assert fused.error_norm.isnan().all()
    assert fused.kl.tolist() == [0.0] * 6
    assert policy.losses().isnan().tolist() == [True, True]
    assert policy.resets().tolist() == [0, 0]


def test_draws_are_tokens_of_the_candidates_with_their_log_probs() -> None:
    fused = _plain(Filters(top_k=3))
    for seed in range(20):
        drawn = _draw(fused, seed, _rows(6))
        for row, token in enumerate(drawn.tokens.tolist()):
            (place,) = (fused.candidates.ids[row] == token).nonzero().flatten()
            assert drawn.log_probs[row] == fused.log_probs[row, place]


def test_a_wider_filter_that_keeps_the_token_draws_it_too() -> None:
    """The noise belongs to the token, not to its place in the list: unlikely rivals do not reshuffle the draw."""
    same = []
    for seed in range(50):
        narrow = _draw(_plain(Filters(min_p=0.01), 4 * _LOGITS), seed, _rows(6))
        wide = _draw(_plain(Filters(), 4 * _LOGITS), seed, _rows(6))
        same.append((narrow.tokens == wide.tokens).float().mean())
    assert sum(same) / len(same) > 0.9


def test_draws_follow_the_fused_distribution() -> None:
    draws = 20_000
    fused = _plain(Filters(temperature=0.8, top_p=0.9), _LOGITS[:1].expand(draws, -1))
    tokens = _draw(fused, 11, _rows(draws)).tokens
    ids, probs = fused.candidates.ids[0], fused.log_probs[0].double().softmax(-1)
    counts = tokens.bincount(minlength=30)[ids]
    assert int(counts.sum()) == draws
    assert stats.chisquare(counts.numpy(), (probs * draws).numpy()).pvalue > 0.01


def test_a_step_out_of_order_is_refused_with_the_right_one() -> None:
    with pytest.raises(RuntimeError, match=r"PlainPolicy.fuse was called before begin; .* begin, fuse, learn"):
        PlainPolicy(Filters()).fuse(_deep(6), _LOGITS)
