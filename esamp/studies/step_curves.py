"""Curves over decoding steps: how a number of each token moves while the samples grow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.metrics import Embedder, cosine_curve
from esamp.metrics.intervals import resamples
from esamp.studies.evaluated import EvaluatedRun
from esamp.studies.ragged import Ragged
from esamp.studies.task_scores import cells_of

__all__ = ["Curve", "Decode", "cosine_curves", "mean_curve", "token_curves"]

_ALIVE = 0.5
_PREFIXES = 8
_CURVE_PROBLEMS = 12

Decode = Callable[[list[int]], str]
"""Turns token ids into text, special tokens left out."""


@final
@dataclass(frozen=True)
class Curve:
    """A mean over problems with its 95 % bootstrap interval, at some values of x.

    Attributes:
        x: number of samples, or of tokens.
        value: the mean.
        low: of the interval at each x by itself.
        high: likewise.
    """

    x: list[float]
    value: list[float]
    low: list[float]
    high: list[float]


def mean_curve(x: Sequence[float], values: Float[Tensor, "problems points"], draws: int = 1000, seed: int = 0) -> Curve:
    """The curve of values of each problem; points where no problem has a value are left out.

    Args:
        x: of each point.
        values: NaN where a problem has none.
        draws: bootstrap resamples of the problems.
        seed: of the resampling.
    """
    known = values.isfinite().any(dim=0)
    kept = values[:, known].double()
    means = kept[resamples(len(kept), draws, seed)].nanmean(dim=1)
    quantiles = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = means[1:].nanquantile(quantiles, dim=0).tolist()
    return Curve([at for at, is_known in zip(x, known.tolist(), strict=True) if is_known], means[0].tolist(), low, high)


def token_curves(run: EvaluatedRun, task: str, column: Ragged, first: int = 0) -> dict[str, Curve]:
    """Of each arm, the mean over a step's living samples, averaged over seeds and problems.

    A curve ends where fewer than half of the arm's samples are alive: beyond it, it would be about the long ones.

    Args:
        run: the run.
        task: name of the task.
        column: a number of each token, such as `run.samples.novelty`.
        first: steps before it are left out.
    """
    curves: dict[str, Curve] = {}
    for arm, of_arm in cells_of(run, task).items():
        rows = [row for cells in of_arm.values() for cell in cells for row in cell]
        lengths = column.lengths[rows]
        # The length that at least half of the samples reach.
        width = int(lengths.sort(descending=True).values[max(int(len(rows) * _ALIVE) - 1, 0)])
        if width <= first:
            continue
        means = [
            torch.stack([column.take(cell).padded(width)[:, first:].nanmean(dim=0) for cell in cells]).nanmean(dim=0)
            for cells in of_arm.values()
        ]
        values = torch.stack(means)
        if bool(values.isfinite().any()):
            curves[arm] = mean_curve([float(step + 1) for step in range(first, width)], values)
    return curves


def cosine_curves(run: EvaluatedRun, task: str, decode: Decode, embedder: Embedder) -> dict[str, Curve]:
    """Of each arm, the mean pairwise cosine of the samples' beginnings, at up to eight lengths in equal steps.

    A sample that has ended stays as it is. Embedding beginnings is what takes time: the first seed of at most twelve
    problems, evenly spaced, is used.

    Args:
        run: the run.
        task: name of the task.
        decode: token ids to text.
        embedder: of the beginnings.
    """
    samples, cells = run.samples, cells_of(run, task)
    shared = [problem for problem in next(iter(cells.values())) if all(problem in of_arm for of_arm in cells.values())]
    size = min(len(shared), _CURVE_PROBLEMS)
    chosen = [shared[place * len(shared) // size] for place in range(size)]
    groups = {(arm, problem): of_arm[problem][0] for arm, of_arm in cells.items() for problem in chosen}
    lengths = sorted(len(samples.token_ids[row]) for rows in groups.values() for row in rows)
    longest = lengths[len(lengths) // 2]
    steps = sorted({max(1, round(longest * (place + 1) / _PREFIXES)) for place in range(_PREFIXES)})
    curves: dict[str, Curve] = {}
    for arm in cells:
        found = [
            cosine_curve([samples.token_ids[row] for row in groups[arm, problem]], decode, embedder, steps)
            for problem in chosen
        ]
        values = torch.tensor([[of.get(step, math.nan) for step in steps] for of in found])
        if bool(values.isfinite().any()):
            curves[arm] = mean_curve([float(step) for step in steps], values)
    return curves
