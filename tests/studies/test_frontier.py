"""Gains at equal perplexity: against lines whose answer is known."""

from __future__ import annotations

import pytest
import torch

from esamp.metrics import mean_interval
from esamp.studies.frontier import Measured, gain, on_line

PROMPTS = 8


def at(log_perplexity: float, score: float, spread: float = 0.0) -> Measured:
    """An arm whose prompts lie around these means, the same prompts high in every arm."""
    noise = spread * torch.linspace(-1.0, 1.0, PROMPTS)
    return Measured(torch.full((PROMPTS,), log_perplexity), score + noise)


SWEEP = [at(2.0, 4.0), at(1.0, 2.0), at(3.0, 5.0)]


def test_the_line_is_linear_between_neighbours_whatever_their_order():
    x = torch.tensor([1.0, 1.5, 2.0, 2.5, 3.0])
    line_x = torch.tensor([[2.0, 1.0, 3.0]]).expand(5, 3)
    line_y = torch.tensor([[4.0, 2.0, 5.0]]).expand(5, 3)
    torch.testing.assert_close(on_line(x, line_x, line_y), torch.tensor([2.0, 3.0, 4.0, 4.5, 5.0]))


def test_an_arm_on_the_line_gains_nothing():
    found = gain(at(1.5, 3.0), SWEEP)
    assert found.inside
    assert found.relative.value == pytest.approx(0.0, abs=1e-6)
    assert (found.relative.low, found.relative.high) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_a_gain_is_relative_to_the_line_at_the_same_perplexity():
    assert gain(at(1.5, 3.6), SWEEP).relative.value == pytest.approx(0.2)
    # A sharper arm with the same score has gained, a flatter one has lost.
    assert gain(at(1.0, 3.0), SWEEP).relative.value == pytest.approx(0.5)
    assert gain(at(2.0, 3.0), SWEEP).relative.value == pytest.approx(-0.25)


def test_prompts_are_resampled_together():
    # What makes a prompt high in every arm cancels: paired, the interval is far narrower than the scores' own.
    sweep = [at(1.0, 10.0, 4.0), at(2.0, 12.0, 4.0)]
    paired = gain(at(1.5, 11.5, 4.0), sweep).relative
    alone = mean_interval(at(1.5, 11.5, 4.0).score)
    assert paired.low > 0
    assert paired.high - paired.low < 0.1 * (alone.high - alone.low) / 11.5


def test_beyond_the_sweep_its_end_is_extended_and_that_is_said():
    found = gain(at(4.0, 6.0), SWEEP)
    assert not found.inside
    assert found.relative.value == pytest.approx(0.0, abs=1e-6)


def test_a_line_needs_two_points():
    with pytest.raises(ValueError, match="sweep must hold at least 2 points"):
        gain(at(1.0, 1.0), SWEEP[:1])
