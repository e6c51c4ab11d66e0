"""Figures of a study."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from esamp.studies.summary import ArmSummary, Summary

__all__ = ["check_matplotlib", "draw_frontier"]

_MARKERS = "osD^vP*X<>hp"


def check_matplotlib() -> None:
    """Raise before anything is computed if there is nothing to draw with.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ModuleNotFoundError("figures are drawn with matplotlib: pip install 'esamp[plots]'")


def draw_frontier(summary: Summary, path: Path) -> None:
    """Vendi score and mean cosine against perplexity: the temperature sweep as a line, every other arm as a point.

    Args:
        summary: of the study.
        path: of the picture; its suffix says in which format.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.2), layout="constrained")
    for axes, score, label in zip(
        figure.subplots(1, 2), ("vendi", "cosine"), ("Vendi score", "mean cosine"), strict=True
    ):
        _draw_line(axes, [arm for arm in summary.arms if arm.plain], score)
        for index, arm in enumerate(arm for arm in summary.arms if not arm.plain):
            _draw_point(axes, arm, score, index)
        better = "higher" if score == "vendi" else "lower"
        axes.set(xlabel="perplexity (log scale)", ylabel=f"{label} ({better}: more diverse)", xscale="log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        axes.xaxis.set_minor_formatter(lambda value, _: f"{value:.3g}")
        axes.tick_params(which="both", labelsize=8)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(f"{summary.prompts} prompts; bars: 95 % bootstrap intervals over prompts", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _draw_line(axes: Any, sweep: list[ArmSummary], score: str) -> None:
    ordered = sorted(sweep, key=lambda arm: arm.scores["perplexity"].value)
    x = [_perplexity(arm) for arm in ordered]
    y = [arm.scores[score].value for arm in ordered]
    axes.plot(x, y, color="0.35", marker=".", label="plain sampling, temperature swept", zorder=1)
    for arm, at in zip(ordered, zip(x, y, strict=True), strict=True):
        label = arm.name.removeprefix("plain ")
        axes.annotate(label, at, textcoords="offset points", xytext=(5, -10), fontsize=7, color="0.35")


def _draw_point(axes: Any, arm: ArmSummary, score: str, index: int) -> None:
    found = arm.scores[score]
    spread = [[found.value - found.low], [found.high - found.value]]
    style = {"color": f"C{index % 10}", "marker": _MARKERS[index % len(_MARKERS)], "markersize": 6}
    axes.errorbar([_perplexity(arm)], [found.value], yerr=spread, label=arm.name, elinewidth=0.7, ls="none", **style)


def _perplexity(arm: ArmSummary) -> float:
    """The geometric mean over prompts, as the gains are computed with."""
    return float(arm.log_perplexity.mean().exp())
