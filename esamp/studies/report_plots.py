"""Which figures a task gets, and what stands under them."""

from __future__ import annotations

import re

import torch

from esamp.metrics import Embedder
from esamp.metrics.intervals import interval_of, resamples
from esamp.studies.contrasts import best_plain
from esamp.studies.evaluated import EvaluatedRun
from esamp.studies.report_figures import Plot, Point
from esamp.studies.step_curves import Curve, Decode, cosine_curves, mean_curve, token_curves
from esamp.studies.task_scores import TaskScores

__all__ = ["task_plots"]

_BAND = "Bands and bars: 95 % bootstrap intervals over problems, each for itself."


def task_plots(
    run: EvaluatedRun, task: TaskScores, decode: Decode | None, embedder: Embedder | None
) -> tuple[list[Plot], list[str]]:
    """The figures of a task, and what is missing and why.

    Args:
        run: the run.
        task: its scores.
        decode: token ids to text; None: there is no tokenizer.
        embedder: None: nothing is embedded.
    """
    plots = [*_coverage(task), *_frontier(task)]
    missing: list[str] = []
    if not task.verified and "vendi" not in task.scores:
        missing.append("Vendi score and cosine were not measured (--no-embed).")
    if embedder is not None and decode is not None:
        plots += _cosine(run, task, decode, embedder)
    elif embedder is not None:
        missing.append("No cosine over decoding steps: the model's tokenizer is not on this machine.")
    plots += _tokens(run, task)
    return plots, missing


def _coverage(task: TaskScores) -> list[Plot]:
    plots: list[Plot] = []
    named: list[tuple[str, str, dict[str, torch.Tensor], str]] = [
        ("pass", "pass@k", task.pass_at_k, "Chance that k of a problem's samples hold a right one."),
        ("answers", "distinct right answers", task.answers_at_k, "Different right answers among k samples."),
    ]
    for measure, label, of, meaning in named:
        if not of or task.n < 2:
            continue
        counts = [float(k) for k in range(1, task.n + 1)]
        best = best_plain(task, measure)
        caption = (
            f"{meaning} Estimated from n = {task.n}, without bias where samples are independent; ESamp's samples of a "
            f"problem are not, so k below n says what k of {task.n} siblings find. Of plain sampling the temperature "
            f"that is best at n has a band. {_BAND}"
        )
        curves = {arm: mean_curve(counts, curve) for arm, curve in of.items()}
        bandless = [arm for arm in task.named("plain") if arm != best]
        plots.append(
            Plot(_file(measure, task), f"{label} over k", caption, "k", label, curves=curves, bandless=bandless)
        )
    return plots


def _frontier(task: TaskScores) -> list[Plot]:
    """Diversity, or what a verified task counts, against perplexity."""
    named = {
        "vendi": ("Vendi score", "Up and to the left is better: more samples that differ in effect, likelier text."),
        "answers": ("distinct right answers", "Up is better, whatever the perplexity."),
    }
    plots: list[Plot] = []
    for measure, (label, meaning) in named.items():
        if measure not in task.scores:
            continue
        plain = sorted(task.named("plain"), key=lambda name: float(task.log_perplexity[name].nanmean()))
        points = {arm.name: _point(task, measure, arm.name) for arm in task.arms}
        caption = (
            f"{meaning} The line is plain sampling over its temperatures: what is to be "
            "beaten. Bars and bands: 95 % over problems; the spread between problems is in them, so "
            "two arms may overlap here and differ when paired."
        )
        plots.append(
            Plot(
                _file(f"frontier-{measure}", task),
                f"{label} against perplexity",
                caption,
                "perplexity (log scale)",
                label,
                points=points,
                line=plain,
                log_x=True,
            )
        )
    return plots


def _point(task: TaskScores, measure: str, arm: str) -> Point:
    """Perplexity as its geometric mean over problems, as gains at equal perplexity are computed with."""
    picked = resamples(len(task.problems), 2000, 0)
    x = interval_of(task.log_perplexity[arm][picked].nanmean(dim=1).exp())
    return Point(x, task.mean(measure, arm))


def _cosine(run: EvaluatedRun, task: TaskScores, decode: Decode, embedder: Embedder) -> list[Plot]:
    curves = cosine_curves(run, task.task, decode, embedder)
    if not curves:
        return []
    caption = (
        "How alike the beginnings of a problem's samples are: mean pairwise cosine of their sentence embeddings, less "
        f"is more diverse. A sample that has ended stays as it is. First seed, at most twelve problems. {_BAND}"
    )
    return [_steps(task, "cosine", "cosine over decoding steps", caption, "mean pairwise cosine", curves)]


def _tokens(run: EvaluatedRun, task: TaskScores) -> list[Plot]:
    end = "A curve ends where fewer than half of the arm's samples go on."
    novelty = (
        "Distance between the distiller's prediction and the model's last hidden state; its square over the width is "
        f"the distiller's loss. It falls where the distiller learns what the samples share. {end} {_BAND}"
    )
    kl = f"How far each step's distribution is tilted away from the model's own candidates. {end} {_BAND}"
    samples, plots = run.samples, list[Plot]()
    found = token_curves(run, task.task, samples.novelty, first=1)
    if found:
        plots.append(_steps(task, "novelty", "novelty over decoding steps", novelty, "‖e‖", found))
    found = {arm: c for arm, c in token_curves(run, task.task, samples.kl).items() if any(c.value)}
    if found:
        plots.append(_steps(task, "kl", "KL over decoding steps", kl, "KL(new ‖ model), nats", found))
    return plots


def _steps(task: TaskScores, name: str, title: str, caption: str, y: str, curves: dict[str, Curve]) -> Plot:
    bandless = task.named("plain")
    return Plot(_file(name, task), title, caption, "tokens", y, curves=curves, bandless=bandless)


def _file(measure: str, task: TaskScores) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", task.task.lower()).strip("-") or "task"
    return f"{measure}-{slug}"
