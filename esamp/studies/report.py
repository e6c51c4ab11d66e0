"""Everything a report says, computed from a run; pages and tables only lay it out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, final

from esamp.metrics import Embedder
from esamp.studies.contrasts import Contrast, contrast_task, holm
from esamp.studies.evaluated import EvaluatedRun
from esamp.studies.measures import MEASURES
from esamp.studies.report_figures import Plot
from esamp.studies.report_plots import task_plots
from esamp.studies.step_curves import Decode, mean_curve
from esamp.studies.task_scores import TaskScores, embed_samples, score_tasks
from esamp.studies.words import Words, in_words, said

__all__ = ["Report", "TaskReport", "make_report", "report_json", "report_markdown"]


@final
@dataclass(frozen=True)
class TaskReport:
    """One task.

    Attributes:
        scores: of every arm.
        contrasts: arm against arm.
        plots: its figures.
        notes: what is missing and why.
    """

    scores: TaskScores
    contrasts: list[Contrast]
    plots: list[Plot]
    notes: list[str]


@final
@dataclass(frozen=True)
class Report:
    """A run, summed up.

    Attributes:
        run: the run.
        words: what is said first.
        tasks: one for each.
    """

    run: EvaluatedRun
    words: Words
    tasks: list[TaskReport]


def make_report(
    run: EvaluatedRun,
    *,
    baseline: str | None = None,
    decode: Decode | None = None,
    embedder: Embedder | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Sum up a run.

    Args:
        run: the run.
        baseline: the arm that all others are held against; None: the plain one that is best on each measure.
        decode: token ids to text, for the cosine over steps; None: there is no tokenizer.
        embedder: for Vendi, cosine and relevance; None: they are not measured.
        progress: is told what begins.

    Raises:
        ValueError: there is no arm of the baseline's name, or a task has no problem that every arm was run on.
    """
    if embedder is not None:
        progress(f"embedding {len(run.samples)} samples")
    tasks = score_tasks(run, None if embedder is None else embed_samples(run.samples, embedder))
    progress("comparing the arms")
    contrasts = holm([contrast for task in tasks for contrast in contrast_task(task, baseline)])
    words = in_words(contrasts, min(len(task.problems) for task in tasks))
    reports: list[TaskReport] = []
    for task in tasks:
        progress(f"curves of {task.task}")
        plots, notes = task_plots(run, task, decode, embedder)
        if task.left_out:
            what = "of problems and seeds that not every arm was run on"
            notes.append(f"{task.left_out} groups of samples are left out: {what}.")
        reports.append(TaskReport(task, [c for c in contrasts if c.task == task.task], plots, notes))
    return Report(run, words, reports)


def report_json(report: Report) -> dict[str, Any]:
    """All numbers as plain values; NaN becomes None."""
    tasks = {
        task.scores.task: {
            "problems": len(task.scores.problems),
            "n": task.scores.n,
            "seeds": task.scores.seeds,
            "arms": {
                arm.name: {
                    "role": arm.role,
                    "scores": {m: asdict(task.scores.mean(m, arm.name)) for m in MEASURES if m in task.scores.scores},
                    "pass_at_k": _curve(task.scores, task.scores.pass_at_k.get(arm.name)),
                    "answers_at_k": _curve(task.scores, task.scores.answers_at_k.get(arm.name)),
                }
                for arm in task.scores.arms
            },
            "contrasts": [asdict(contrast) for contrast in task.contrasts],
        }
        for task in report.tasks
    }
    plain = {"words": asdict(report.words), "manifest": report.run.manifest, "tasks": tasks}
    return _without_nan(plain)


def report_markdown(report: Report) -> str:
    """The first paragraph and the tables, to be pasted into a document."""
    parts = [" ".join(report.words.paragraph), "\n".join(f"- {detail}" for detail in report.words.details)]
    for task in report.tasks:
        scores = task.scores
        parts.append(
            f"**{scores.task}**: {len(scores.problems)} problems × {scores.n} samples × {scores.seeds} seed(s), "
            "95 % bootstrap intervals over problems"
        )
        measures = [name for name in MEASURES if name in scores.scores]
        rows = [["arm", *(MEASURES[name].label.replace("@n", f"@{scores.n}") for name in measures)]]
        rows += [[f"{a.name} ({a.role})", *(_cell(scores, name, a.name) for name in measures)] for a in scores.arms]
        parts.append(_table(rows))
        headlines = [c for c in task.contrasts if c.headline]
        if headlines:
            head = ["measure", "arm", "against", "difference", "p", "p, corrected"]
            parts.append(
                _table([head, *([c.label, c.arm, c.against, said(c), _p(c.p), _p(c.adjusted)] for c in headlines)])
            )
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell(scores: TaskScores, measure: str, arm: str) -> str:
    found, form = scores.mean(measure, arm), MEASURES[measure].form
    if math.isnan(found.value):
        return "–"
    return f"{found.value:{form}} ({found.low:{form}} … {found.high:{form}})"


def _table(rows: list[list[str]]) -> str:
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in escaped]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def _p(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _curve(scores: TaskScores, values: Any) -> dict[str, Any] | None:
    return None if values is None else asdict(mean_curve([float(k) for k in range(1, scores.n + 1)], values))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
