"""A study in words: as strong as the intervals allow, and no stronger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from esamp.studies.contrasts import AT_EQUAL_PERPLEXITY, Contrast
from esamp.studies.measures import GUARDS, MEASURES

__all__ = ["FEW_PROBLEMS", "Standing", "Words", "in_points", "in_words", "said", "standing"]

FEW_PROBLEMS = 20
"""Intervals from fewer problems are rough themselves: resampling cannot show what was never drawn."""

_LEVEL = 0.05
_LISTED = 4

Standing = Literal["gains", "leads", "open", "loses"]
"""Above, above but not after correction for many comparisons, not told apart, below."""


@final
@dataclass(frozen=True)
class Words:
    """What a report says first.

    Attributes:
        paragraph: sentences of the first paragraph.
        details: a sentence for each headline comparison with plain sampling.
    """

    paragraph: list[str]
    details: list[str]


def standing(contrast: Contrast) -> Standing:
    """What the interval allows to say of a comparison with plain sampling.

    "gains" needs both: an interval above zero and p < .05 after correction. "loses" needs the interval alone, as a
    warning may be the weaker claim.
    """
    if contrast.difference.low > 0:
        return "gains" if contrast.adjusted < _LEVEL else "leads"
    return "loses" if contrast.difference.high < 0 else "open"


def in_words(contrasts: Sequence[Contrast], problems: int) -> Words:
    """The report's first paragraph, by rules.

    Args:
        contrasts: all of the run.
        problems: the fewest problems of a task.
    """
    against_plain = [c for c in contrasts if c.headline and c.kind == "plain"]
    tested = [c for c in against_plain if c.role == "trained"]
    if not tested:
        return Words([_nothing(against_plain)], [_detail(c) for c in against_plain])
    # Where every arm has the same score of every problem there is nothing to tell apart.
    telling = [c for c in contrasts if c.difference.low < c.difference.high or c.difference.value]
    tested = [c for c in tested if c in telling] or tested
    paragraph = [_verdict(tested), *_controls(telling, tested), *_guards(contrasts, tested)]
    if problems < FEW_PROBLEMS:
        paragraph.append(
            f"There are {problems} problems: intervals from so few are rough, and other problems may turn them round."
        )
    return Words(paragraph, [_detail(c) for c in against_plain])


def said(contrast: Contrast) -> str:
    """A difference with its interval: `+1.2 (0.4 … 2.0)`, in points where the score is a share."""
    form = MEASURES[contrast.measure].form
    d = contrast.difference
    if contrast.relative:
        text = f"{d.value:+.1%} ({d.low:+.1%} … {d.high:+.1%})"
    elif form.endswith("%"):
        text = f"{100 * d.value:+.1f} points ({100 * d.low:+.1f} … {100 * d.high:+.1f})"
    else:
        text = f"{d.value:+{form}} ({d.low:+{form}} … {d.high:+{form}})"
    return text.replace("-", "−")


def _nothing(against_plain: Sequence[Contrast]) -> str:
    if against_plain:
        return "No arm of this run has a distiller that learns: nothing can be said of ESamp here."
    return (
        "This run does not hold ESamp against plain sampling on any measure that counts, so it says nothing about a "
        "gain; the numbers below stand for themselves."
    )


def _verdict(tested: Sequence[Contrast]) -> str:
    """One sentence with what gains, what leads, what loses and what cannot be told."""
    by_standing: dict[str, list[Contrast]] = {"gains": [], "leads": [], "loses": [], "open": []}
    for contrast in tested:
        by_standing[standing(contrast)].append(contrast)
    gains, leads, loses, still_open = by_standing.values()
    parts: list[str] = []
    if gains:
        parts.append(f"there is a gain in {_listed(gains)}")
    else:
        parts.append("no gain is established")
    if leads:
        parts.append(
            f"{_listed(leads)} would be a gain alone, but not after correction for the "
            f"{_count(len(tested), 'comparison')} made: a lead, no result"
        )
    if loses:
        parts.append(f"there is a loss in {_listed(loses)}")
    if still_open:
        parts.append(f"no difference can be told in {_listed(still_open)}")
    return f"Held against {_baselines(tested)}: {'; '.join(parts)}."


def _baselines(tested: Sequence[Contrast]) -> str:
    lines = any(c.against == AT_EQUAL_PERPLEXITY for c in tested)
    points = any(c.against != AT_EQUAL_PERPLEXITY for c in tested)
    best = (
        "the plain temperature that is best on each measure (chosen on the same samples, which favours plain sampling)"
    )
    return " and ".join([*([best] if points else []), *([AT_EQUAL_PERPLEXITY] if lines else [])])


def _controls(contrasts: Sequence[Contrast], tested: Sequence[Contrast]) -> list[str]:
    """What controls and peers do beside the arms that are tested."""
    keys = {(c.task, c.measure, c.arm) for c in tested}
    claimed = {(c.task, c.measure, c.arm) for c in tested if standing(c) in ("gains", "leads")}
    sentences: list[str] = []
    rivals = [c for c in contrasts if c.headline and c.kind != "plain" and (c.task, c.measure, c.arm) in keys]
    for kind, name in (("control", "control"), ("peer", "method without a distiller")):
        of_kind = [c for c in rivals if c.kind == kind]
        as_well = [c for c in of_kind if not c.difference.low > 0]
        better = [c for c in as_well if c.difference.high < 0]
        level = [c for c in as_well if c not in better]
        if better:
            sentences.append(f"A {name} does better: {_pairs(better)}.")
        if level:
            sentences.append(f"A {name} does as well, as far as can be told: {_pairs(level)}.")
        if kind == "control" and {(c.task, c.measure, c.arm) for c in as_well} & claimed:
            sentences.append("What is gained there cannot be credited to what the distiller has learnt.")
        beaten = [c for c in of_kind if c not in as_well]
        if beaten:
            sentences.append(f"The {name} is beaten by what learns: {_pairs(beaten)}.")
    if not any(c.kind == "control" for c in rivals):
        sentences.append(
            "The run has no control (a frozen distiller, or noise), so a gain could not be credited to learning."
        )
    return sentences


def _guards(contrasts: Sequence[Contrast], tested: Sequence[Contrast]) -> list[str]:
    """Gains that a guard takes the trust from: held against the same as the gain is. Verdicts go before relevance."""
    claimed = {(c.task, c.arm, c.against) for c in tested if standing(c) in ("gains", "leads")}
    verified = {c.task for c in contrasts if c.measure == "valid"}
    fallen = [
        c
        for c in contrasts
        if c.measure in GUARDS
        and (c.task, c.arm, c.against) in claimed
        and not (c.measure == "relevance" and c.task in verified)
        and _worse(c)
    ]
    if not fallen:
        return []
    listed = "; ".join(f"{c.label} of {c.arm} on {c.task} {said(c)} against {c.against}" for c in fallen)
    return [f"A guard is worse, so the gain beside it is not to be trusted as it stands: {listed}."]


def _worse(contrast: Contrast) -> bool:
    better, d = MEASURES[contrast.measure].better, contrast.difference
    return d.low > 0 if better < 0 else d.high < 0


def _listed(contrasts: Sequence[Contrast]) -> str:
    """Measure, task and arms: `pass@n on birds (“ESamp”, “MLP”)`."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for c in contrasts:
        grouped.setdefault((c.label, c.task), []).append(f"“{c.arm}”")
    items = [f"{label} on {task} ({_cut(arms, what='more')})" for (label, task), arms in grouped.items()]
    return _cut(items)


def _pairs(contrasts: Sequence[Contrast]) -> str:
    """Each rival once for a measure, with the first of the arms that it is held against."""
    grouped: dict[tuple[str, str, str], list[Contrast]] = {}
    for c in contrasts:
        grouped.setdefault((c.against, c.label, c.task), []).append(c)
    items: list[str] = []
    for (against, label, task), (first, *rest) in grouped.items():
        others = f", and {_count(len(rest), 'other arm')} likewise" if rest else ""
        items.append(f"“{against}” in {label} on {task}, where “{first.arm}” has {said(first)} against it{others}")
    return _cut(items, "; ")


def _cut(items: Sequence[str], between: str = ", ", what: str = "more (see the tables)") -> str:
    """The first few; how many more there are is said, so that nothing is hidden."""
    if len(items) <= _LISTED:
        return between.join(items)
    return between.join([*items[:_LISTED], f"and {len(items) - _LISTED} {what}"])


def _detail(contrast: Contrast) -> str:
    verb = {"gains": "a gain", "leads": "a lead, no result", "open": "no difference can be told", "loses": "a loss"}[
        standing(contrast)
    ]
    p = f"p {_equals(contrast.p)}"
    if contrast.adjusted == contrast.adjusted:
        p += f", corrected {_equals(contrast.adjusted)}"
    return (
        f"{contrast.task}, {contrast.label}: {contrast.arm} ({contrast.role}) against "
        f"{contrast.against}: {said(contrast)}, {p}: {verb}."
    )


def in_points(p: float) -> str:
    """A p-value as it is printed; a dash where there is none."""
    if p != p:
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def _equals(p: float) -> str:
    return in_points(p) if p < 0.001 else f"= {in_points(p)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
