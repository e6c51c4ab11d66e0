"""What is measured of an evaluated run: every score of every arm, problem by problem, so that arms can be paired."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.metrics import (
    Embedder,
    Interval,
    clusters,
    distinct_at_k,
    distinct_n,
    looping_rate,
    mean_interval,
    mean_pairwise_cosine,
    pass_at_k,
    perplexity,
    reentry_rate,
    relevance,
    repetition,
    truncation_rate,
    vendi_score,
)
from esamp.studies.evaluated import EvaluatedRun, SampleTable
from esamp.studies.roles import RoledArm, role_of

__all__ = ["Embedded", "TaskScores", "cells_of", "embed_samples", "score_tasks"]

# Least cosine to the first sample of a cluster that counts as saying the same.
_ALIKE = 0.7

Cell = list[int]
"""Rows of the n samples that one arm drew of a problem with one seed."""


@final
@dataclass(frozen=True)
class TaskScores:
    """Scores of all arms on one task.

    Attributes:
        task: its name.
        arms: in the order of the study.
        problems: those that every arm was run on, in the order of the rows.
        left_out: number of groups of samples that count for none, as some arm was not run on that problem and seed.
        n: samples of a problem and a seed; the fewest where they differ.
        seeds: number of seeds.
        verified: the task has verdicts.
        log_perplexity: by arm, nats, averaged over seeds, [problems].
        scores: by measure (the keys of `esamp.studies.measures.MEASURES`) and arm, averaged over seeds, [problems];
            NaN where undefined. A measure that is undefined everywhere is not there.
        pass_at_k: by arm, for k = 1 … n, [problems, n]; empty without verdicts.
        answers_at_k: number of distinct right answers among k samples, likewise; empty too where a problem has one
            right answer, as then it says what pass@k says.
    """

    task: str
    arms: list[RoledArm]
    problems: list[str]
    left_out: int
    n: int
    seeds: int
    verified: bool
    log_perplexity: dict[str, Float[Tensor, " problems"]]
    scores: dict[str, dict[str, Float[Tensor, " problems"]]]
    pass_at_k: dict[str, Float[Tensor, "problems n"]]
    answers_at_k: dict[str, Float[Tensor, "problems n"]]

    def mean(self, measure: str, arm: str, draws: int = 2000) -> Interval:
        """A score's mean over the problems that have one, with its interval; NaN where none has."""
        known = self.scores[measure][arm]
        known = known[known.isfinite()]
        return mean_interval(known, draws) if len(known) else Interval(math.nan, math.nan, math.nan)

    def named(self, *roles: str) -> list[str]:
        """Names of the arms of these roles."""
        return [arm.name for arm in self.arms if arm.role in roles]


@final
@dataclass(frozen=True)
class Embedded:
    """Sentence embeddings of samples and prompts, of length 1.

    Attributes:
        samples: [samples, d].
        prompts: of each sample's prompt, [samples, d].
    """

    samples: Float[Tensor, "samples d"]
    prompts: Float[Tensor, "samples d"]


def embed_samples(samples: SampleTable, embedder: Embedder) -> Embedded:
    """Embeddings of all samples and prompts; equal texts are embedded once."""
    texts = list(dict.fromkeys([*samples.text, *samples.prompt]))
    rows = embedder(texts)
    place = {text: row for row, text in enumerate(texts)}
    return Embedded(rows[[place[text] for text in samples.text]], rows[[place[text] for text in samples.prompt]])


def score_tasks(run: EvaluatedRun, embedded: Embedded | None) -> list[TaskScores]:
    """All scores of each task of the run, in the order of the rows.

    Args:
        run: the run.
        embedded: from `embed_samples`; None: Vendi, cosine and relevance are not measured.
    """
    return [_score_task(run, task, embedded) for task in dict.fromkeys(run.samples.task)]


def cells_of(run: EvaluatedRun, task: str) -> dict[str, dict[str, list[Cell]]]:
    """By arm and problem, the rows of each seed's samples, in the order of their index.

    Only of those problems and seeds that every arm was run on: while a run is under way too, like is held against like.
    """
    samples = run.samples
    rows: dict[tuple[str, str, int], list[int]] = {}
    for row in range(len(samples)):
        if samples.task[row] == task:
            rows.setdefault((samples.arm[row], samples.problem[row], samples.seed[row]), []).append(row)
    ran = {arm: {key[1:] for key in rows if key[0] == arm} for arm in run.arms}
    shared = set.intersection(*filter(None, ran.values()))
    cells: dict[str, dict[str, list[Cell]]] = {arm: {} for arm in run.arms if ran[arm]}
    for (arm, *place), cell in rows.items():
        if tuple(place) in shared:
            cells[arm].setdefault(str(place[0]), []).append(sorted(cell, key=lambda row: samples.index[row]))
    return cells


def _score_task(run: EvaluatedRun, task: str, embedded: Embedded | None) -> TaskScores:
    samples, cells = run.samples, cells_of(run, task)
    problems = list(next(iter(cells.values())))
    if not problems:
        raise ValueError(f"task {task!r} has no problem that every arm was run on; go on with the run and report then")
    used = [cell for of_arm in cells.values() for problem in problems for cell in of_arm[problem]]
    n = min(len(cell) for cell in used)
    verified = any(samples.correct[row] is not None for cell in used for row in cell)

    def over(cell_score: Callable[[Cell], Tensor | float]) -> dict[str, Tensor]:
        return {arm: _per_problem(of_arm, problems, cell_score) for arm, of_arm in cells.items()}

    passes = over(lambda cell: _pass_curve(samples, cell)[:n]) if verified else {}
    answers = over(lambda cell: _answer_curve(samples, cell)[:n]) if verified else {}
    if all(torch.allclose(answers[arm], passes[arm]) for arm in passes):
        answers = {}
    surprise = over(lambda cell: _log_perplexity(samples, cell))
    found = {name: over(score) for name, score in _cell_scores(samples, embedded).items()}
    found["perplexity"] = {arm: values.exp() for arm, values in surprise.items()}
    found["pass"] = {arm: curve[:, -1] for arm, curve in passes.items()}
    found["answers"] = {arm: curve[:, -1] for arm, curve in answers.items()}
    found["valid"] = {arm: curve[:, 0] for arm, curve in passes.items()}
    defined = {name: of for name, of in found.items() if any(bool(v.isfinite().any()) for v in of.values())}
    rows_of = {arm: next(iter(of_arm.values()))[0][0] for arm, of_arm in cells.items()}
    return TaskScores(
        task=task,
        arms=[RoledArm(arm, role_of(run.arms[arm], samples.plain[row])) for arm, row in rows_of.items()],
        problems=problems,
        left_out=_groups(samples, task) - len(used),
        n=n,
        seeds=len({samples.seed[row] for cell in used for row in cell}),
        verified=verified,
        log_perplexity=surprise,
        scores=defined,
        pass_at_k=passes,
        answers_at_k=answers,
    )


def _groups(samples: SampleTable, task: str) -> int:
    keys = zip(samples.task, samples.arm, samples.problem, samples.seed, strict=True)
    return len({key for key in keys if key[0] == task})


def _per_problem(
    of_arm: dict[str, list[Cell]], problems: Sequence[str], score: Callable[[Cell], Tensor | float]
) -> Tensor:
    """The mean over seeds, a row a problem."""
    rows: list[Tensor] = []
    for problem in problems:
        of_seeds = torch.stack([torch.as_tensor(score(cell), dtype=torch.float64) for cell in of_arm[problem]])
        rows.append(of_seeds.nanmean(dim=0))
    return torch.stack(rows).float()


def _cell_scores(samples: SampleTable, embedded: Embedded | None) -> dict[str, Callable[[Cell], float]]:
    def texts(cell: Cell) -> list[str]:
        return [samples.text[row] for row in cell]

    scores: dict[str, Callable[[Cell], float]] = {
        "repetition": lambda cell: repetition(texts(cell), 4),
        "distinct_2": lambda cell: distinct_n(texts(cell), 2),
        "length": lambda cell: fmean(len(samples.token_ids[row]) for row in cell),
        "looping": lambda cell: looping_rate([samples.token_ids[row] for row in cell]),
        "cut": lambda cell: truncation_rate([samples.finish_reason[row] for row in cell]),
    }
    if embedded is not None:
        scores["vendi"] = lambda cell: vendi_score(embedded.samples[cell])
        scores["cosine"] = lambda cell: mean_pairwise_cosine(embedded.samples[cell])
        scores["reentry"] = lambda cell: reentry_rate(clusters(embedded.samples[cell], _ALIKE))
        scores["relevance"] = lambda cell: relevance(embedded.prompts[cell[0]], embedded.samples[cell])
    return scores


def _log_perplexity(samples: SampleTable, cell: Cell) -> float:
    log_probs = [samples.reference_log_probs[row] for row in cell]
    return math.log(perplexity(log_probs)) if sum(map(len, log_probs)) else math.nan


def _pass_curve(samples: SampleTable, cell: Cell) -> Tensor:
    """A sample without a verdict, in a task that has them, is not right."""
    return pass_at_k([sum(samples.correct[row] is True for row in cell)], len(cell))[0]


def _answer_curve(samples: SampleTable, cell: Cell) -> Tensor:
    """Right samples without a normal form count as one answer."""
    return distinct_at_k([[(samples.answer[row] or "") if samples.correct[row] else None for row in cell]])[0]
