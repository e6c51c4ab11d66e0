"""The frontier: what an arm gains at equal perplexity, held against plain sampling over a sweep of temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.checks import check_integer
from esamp.metrics.intervals import Interval, interval_of, resamples

__all__ = ["Gain", "Measured", "gain", "on_line"]


@dataclass(frozen=True)
class Measured:
    """One score of one arm, averaged over seeds.

    Attributes:
        log_perplexity: of each prompt's samples, nats, [prompts].
        score: of each prompt's samples, [prompts].
    """

    log_perplexity: Float[Tensor, " prompts"]
    score: Float[Tensor, " prompts"]


@dataclass(frozen=True)
class Gain:
    """What an arm gains over the line of plain sampling.

    Attributes:
        relative: (score of the arm / score of the line at the arm's perplexity) - 1.
        inside: the arm's perplexity lies within the sweep; where it does not, the line's end was extended.
    """

    relative: Interval
    inside: bool


def on_line(
    x: Float[Tensor, " draws"], line_x: Float[Tensor, "draws points"], line_y: Float[Tensor, "draws points"]
) -> Float[Tensor, " draws"]:
    """Value at `x` of the polyline through the points in order of their x; its ends are extended.

    >>> on_line(torch.tensor([1.5, 3.0]), torch.tensor([[2.0, 1.0]] * 2), torch.tensor([[4.0, 2.0]] * 2))
    tensor([3., 6.])
    """
    line_x, order = line_x.sort(dim=-1)
    line_y = line_y.gather(-1, order)
    right = torch.searchsorted(line_x, x.unsqueeze(-1)).clamp(1, line_x.shape[-1] - 1)
    x0, x1 = line_x.gather(-1, right - 1), line_x.gather(-1, right)
    y0, y1 = line_y.gather(-1, right - 1), line_y.gather(-1, right)
    # Two points of equal perplexity: their mean would do as well as either.
    share = (x.unsqueeze(-1) - x0) / (x1 - x0).clamp_min(1e-12)
    return (y0 + share * (y1 - y0)).squeeze(-1)


def gain(arm: Measured, sweep: Sequence[Measured], draws: int = 2000, seed: int = 0) -> Gain:
    """The arm's score over the sweep's at equal perplexity, linear in log perplexity between neighbouring temperatures.

    Prompts are resampled with replacement, the same ones for the arm and for every point of the sweep (a paired
    bootstrap); perplexity and score are means over prompts, the former in logarithm.

    Args:
        arm: the arm.
        sweep: at least two points of plain sampling.
        draws: bootstrap resamples.
        seed: of the resampling.

    Raises:
        ValueError: there are fewer than two points or draws.
    """
    if len(sweep) < 2:
        raise ValueError(f"sweep must hold at least 2 points to make a line of, got {len(sweep)}")
    picked = resamples(len(arm.score), check_integer("draws", draws, low=2), seed)
    line_x = torch.stack([point.log_perplexity[picked].mean(dim=1) for point in sweep], dim=1)
    line_y = torch.stack([point.score[picked].mean(dim=1) for point in sweep], dim=1)
    x = arm.log_perplexity[picked].mean(dim=1)
    relative = arm.score[picked].mean(dim=1) / on_line(x, line_x, line_y) - 1
    inside = bool((x[0] >= line_x[0].min()) & (x[0] <= line_x[0].max()))
    return Gain(interval_of(relative), inside)
