"""Arm against arm: what each gains over the best plain temperature, the controls and the peers, problem by problem."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.checks import check_choice
from esamp.metrics import paired_difference
from esamp.metrics.intervals import Interval, interval_of, resamples
from esamp.studies.frontier import on_line
from esamp.studies.measures import GUARDS, HEADLINES, MEASURES
from esamp.studies.task_scores import TaskScores

__all__ = [
    "AT_EQUAL_PERPLEXITY",
    "Contrast",
    "best_plain",
    "contrast_task",
    "holm",
    "line_gain",
]

AT_EQUAL_PERPLEXITY = "plain sampling at equal perplexity"
"""What an arm is held against where it is the line through all plain temperatures."""


@final
@dataclass(frozen=True)
class Contrast:
    """One arm held against another on one measure of one task.

    Attributes:
        task: name of the task.
        measure: key of `esamp.studies.measures.MEASURES`.
        arm: name of the arm.
        role: of the arm.
        against: name of the other arm, or `AT_EQUAL_PERPLEXITY`.
        kind: what the other one is.
        difference: arm minus other, the mean over problems; a share of the other's score where `relative`.
        p: two-sided, of no difference; NaN where it cannot be told.
        adjusted: the same after Holm's correction for all headline comparisons of the run with plain sampling;
            NaN for the others.
        relative: the difference is a share.
        headline: it is one of those that the report's first paragraph is about.
        n: samples of a problem, which names pass@n.
    """

    task: str
    measure: str
    arm: str
    role: str
    against: str
    kind: Literal["plain", "control", "peer"]
    difference: Interval
    p: float
    adjusted: float = math.nan
    relative: bool = False
    headline: bool = False
    n: int = 0

    @property
    def label(self) -> str:
        """Name of the measure: `pass@16`."""
        return MEASURES[self.measure].label.replace("@n", f"@{self.n}")


def contrast_task(task: TaskScores, baseline: str | None = None, draws: int = 2000) -> list[Contrast]:
    """Every arm of a task against plain sampling, and the trained ones against the controls and the peers.

    Against plain sampling: on each measure that has a better side, against the plain arm that is best there, or against
    `baseline`; where there are two plain arms or more, Vendi also against their line at equal perplexity. A task
    without verdicts is judged by the latter, one with verdicts by `HEADLINES`.

    Args:
        task: the scores.
        baseline: name of the arm that all others are held against.
        draws: bootstrap resamples.

    Raises:
        ValueError: there is no such arm.
    """
    if baseline is not None:
        check_choice("baseline", baseline, [arm.name for arm in task.arms])
    found: list[Contrast] = []
    for measure, of in task.scores.items():
        plain = baseline or best_plain(task, measure)
        if plain is None or not MEASURES[measure].better:
            continue
        for arm in task.arms:
            if arm.role != "plain" and arm.name != plain:
                headline = measure in HEADLINES
                found.append(_contrast(task, measure, arm.name, plain, "plain", of, draws, headline))
    found += _guards_at(task, found, draws)
    for measure in HEADLINES if task.verified else ("vendi",):
        if measure in task.scores:
            found += _against_rivals(task, measure, draws)
    found += _on_line(task, "vendi", draws, headline=not task.verified and baseline is None)
    for measure in GUARDS:
        found += _on_line(task, measure, draws, headline=False)
    return found


def best_plain(task: TaskScores, measure: str) -> str | None:
    """The plain arm that is best on a measure; where nothing is better or worse, or nothing is plain, None."""
    better = MEASURES[measure].better
    means = {name: float(task.scores[measure][name].nanmean()) for name in task.named("plain")}
    means = {name: mean for name, mean in means.items() if math.isfinite(mean)}
    return max(means, key=lambda name: better * means[name]) if better and means else None


def holm(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """The same with p corrected for the headline comparisons of trained arms with plain sampling (Holm, 1979).

    The i-th smallest of m values becomes max over j <= i of min(1, (m - j + 1) p_j).
    """
    family = [
        place
        for place, c in enumerate(contrasts)
        if c.headline and c.kind == "plain" and c.role == "trained" and math.isfinite(c.p)
    ]
    corrected, highest = list(contrasts), 0.0
    for rank, place in enumerate(sorted(family, key=lambda place: contrasts[place].p)):
        highest = max(highest, min(1.0, (len(family) - rank) * contrasts[place].p))
        corrected[place] = replace(contrasts[place], adjusted=highest)
    return corrected


def _contrast(
    task: TaskScores,
    measure: str,
    arm: str,
    other: str,
    kind: Literal["plain", "control", "peer"],
    of: dict[str, Tensor],
    draws: int,
    headline: bool,
) -> Contrast:
    role = next(each.role for each in task.arms if each.name == arm)
    known = of[arm].isfinite() & of[other].isfinite()
    if not bool(known.any()):
        nothing = Interval(math.nan, math.nan, math.nan)
        return Contrast(task.task, measure, arm, role, other, kind, nothing, math.nan, headline=headline, n=task.n)
    found = paired_difference(of[arm][known], of[other][known], draws)
    difference, p = found.difference, found.p_value
    return Contrast(task.task, measure, arm, role, other, kind, difference, p, headline=headline, n=task.n)


def _guards_at(task: TaskScores, found: Sequence[Contrast], draws: int) -> list[Contrast]:
    """The guards of each headline comparison, against the same plain arm: the best on a guard itself is another one."""
    done = {(c.measure, c.arm, c.against) for c in found}
    wanted = {(g, c.arm, c.against): None for c in found if c.headline for g in GUARDS if g in task.scores}
    return [
        _contrast(task, guard, arm, against, "plain", task.scores[guard], draws, headline=False)
        for guard, arm, against in wanted
        if (guard, arm, against) not in done
    ]


def _against_rivals(task: TaskScores, measure: str, draws: int) -> list[Contrast]:
    """Trained arms against controls and peers: at equal perplexity where that is what the task is judged by."""
    found: list[Contrast] = []
    for rival in task.arms:
        if rival.role not in ("control", "peer"):
            continue
        for arm in task.named("trained"):
            if task.verified:
                of = task.scores[measure]
                found.append(_contrast(task, measure, arm, rival.name, rival.role, of, draws, headline=True))
            elif len(task.named("plain")) > 1:
                above = line_gain(task, measure, arm, draws) - line_gain(task, measure, rival.name, draws)
                spread, p = interval_of(above), _two_sided(above)
                kind = rival.role
                found.append(
                    Contrast(
                        task.task, measure, arm, "trained", rival.name, kind, spread, p, relative=True, headline=True
                    )
                )
    return found


def _on_line(task: TaskScores, measure: str, draws: int, headline: bool) -> list[Contrast]:
    """Arms against the line through the plain ones: Vendi as a share, guards as a difference."""
    if measure not in task.scores or len(task.named("plain")) < 2:
        return []
    found: list[Contrast] = []
    for arm in task.arms:
        if arm.role != "plain":
            above = line_gain(task, measure, arm.name, draws, relative=measure not in GUARDS)
            spread, p = interval_of(above), _two_sided(above)
            against = AT_EQUAL_PERPLEXITY
            made = Contrast(task.task, measure, arm.name, arm.role, against, "plain", spread, p, n=task.n)
            found.append(replace(made, relative=measure not in GUARDS, headline=headline))
    return found


def line_gain(
    task: TaskScores, measure: str, arm: str, draws: int = 2000, relative: bool = True, seed: int = 0
) -> Float[Tensor, " draws"]:
    """What an arm has above the line of plain sampling at its own perplexity, in each bootstrap draw.

    As in `esamp.studies.frontier.gain`; the same seed draws the same problems for every arm, so that draws of two
    arms can be subtracted.

    Args:
        task: with two plain arms or more.
        measure: key of the score.
        arm: name of the arm.
        draws: bootstrap resamples; the first value is of the data as they are.
        relative: as a share of the line's score instead of a difference.
        seed: of the resampling.
    """
    of, plain = task.scores[measure], task.named("plain")
    picked = resamples(len(task.problems), draws, seed)
    line_x = torch.stack([task.log_perplexity[name][picked].nanmean(dim=1) for name in plain], dim=1)
    line_y = torch.stack([of[name][picked].nanmean(dim=1) for name in plain], dim=1)
    line = on_line(task.log_perplexity[arm][picked].nanmean(dim=1), line_x, line_y)
    score = of[arm][picked].nanmean(dim=1)
    return score / line - 1 if relative else score - line


def _two_sided(draws: Tensor) -> float:
    """P of zero by the bootstrap's own tails, never below what that many draws can show."""
    resampled = draws[1:]
    tail = min(int((resampled <= 0).sum()), int((resampled >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(resampled) + 1))
