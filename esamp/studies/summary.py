"""What a study says: of each arm its scores with intervals, and what it gains at equal perplexity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from esamp.metrics.intervals import Interval, mean_interval
from esamp.studies.frontier import Gain, Measured, gain

__all__ = ["SCORES", "ArmSummary", "Summary", "markdown", "summarise"]

SCORES = {
    "vendi": ("Vendi", ".2f"),
    "cosine": ("cosine", ".3f"),
    "perplexity": ("perplexity", ".2f"),
    "distinct_2": ("distinct-2", ".3f"),
    "repetition": ("repetition", ".1%"),
    "mean_length": ("tokens", ".0f"),
}
"""Name and format of each score of a summary."""


@dataclass(frozen=True)
class ArmSummary:
    """One arm, over all prompts and the seeds that were run.

    Attributes:
        name: of the arm.
        plain: it is a point of the temperature sweep.
        seeds: how many were run.
        scores: by name; the mean over prompts of the mean over seeds, with its interval over prompts.
        log_perplexity: of each prompt, averaged over seeds, nats.
        vendi_gain: of Vendi over the sweep at equal perplexity; None for the sweep itself.
        cosine_gain: the same of the mean cosine, where less is more diverse.
    """

    name: str
    plain: bool
    seeds: int
    scores: dict[str, Interval]
    log_perplexity: Tensor
    vendi_gain: Gain | None
    cosine_gain: Gain | None


@dataclass(frozen=True)
class Summary:
    """All arms, in the order of the table.

    Attributes:
        arms: one for each.
        prompts: number of prompts that every one of them was run on.
    """

    arms: list[ArmSummary]
    prompts: int


def summarise(rows: Sequence[dict[str, Any]]) -> Summary:
    """Summary of a tidy table, given as its rows.

    Args:
        rows: of `score_table(...)`, by `to_pylist()`.

    Raises:
        ValueError: fewer than two plain arms were run: there is no line to hold the others against.
    """
    names = list(dict.fromkeys(row["arm"] for row in rows))
    prompts = sorted({_prompt(row) for row in rows})
    by_arm = {name: [row for row in rows if row["arm"] == name] for name in names}
    plain = [name for name in names if by_arm[name][0]["plain"]]
    measured = {
        score: {name: _measured(by_arm[name], prompts, score) for name in names} for score in ("vendi", "cosine")
    }

    def gained(name: str, score: str) -> Gain | None:
        of = measured[score]
        return None if name in plain else gain(of[name], [of[point] for point in plain])

    arms = [
        ArmSummary(
            name,
            name in plain,
            len({row["seed"] for row in by_arm[name]}),
            {score: mean_interval(_per_prompt(by_arm[name], prompts, score)) for score in SCORES},
            measured["vendi"][name].log_perplexity,
            gained(name, "vendi"),
            gained(name, "cosine"),
        )
        for name in names
    ]
    return Summary(arms, len(prompts))


def markdown(summary: Summary) -> str:
    """The summary as a Markdown table, what counts first."""
    heads = [label for label, _ in SCORES.values()]
    lines = [
        "| arm | Vendi at equal perplexity | cosine at equal perplexity | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 3) + "|",
    ]
    for arm in summary.arms:
        cells = [f"{arm.scores[score].value:{form}}" for score, (_, form) in SCORES.items()]
        lines.append("| " + " | ".join([arm.name, _said(arm.vendi_gain), _said(arm.cosine_gain), *cells]) + " |")
    return "\n".join(lines)


def _said(found: Gain | None) -> str:
    """A gain with its interval; a mark where the sweep had to be extended to reach the arm's perplexity."""
    if found is None:
        return "the line"
    r = found.relative
    return f"{r.value:+.1%} ({r.low:+.1%} … {r.high:+.1%}){'' if found.inside else ' †'}"


def _prompt(row: dict[str, Any]) -> tuple[str, str]:
    return row["task"], row["problem"]


def _measured(rows: Sequence[dict[str, Any]], prompts: Sequence[tuple[str, str]], score: str) -> Measured:
    logs = [{**row, "log_perplexity": math.log(row["perplexity"])} for row in rows]
    return Measured(_per_prompt(logs, prompts, "log_perplexity"), _per_prompt(rows, prompts, score))


def _per_prompt(rows: Sequence[dict[str, Any]], prompts: Sequence[tuple[str, str]], score: str) -> Tensor:
    """Mean over seeds, [prompts]."""
    values = [[row[score] for row in rows if _prompt(row) == prompt] for prompt in prompts]
    return torch.tensor([sum(of) / len(of) for of in values], dtype=torch.float64).float()
