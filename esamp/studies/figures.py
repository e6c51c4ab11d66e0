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
        raise ModuleNotFoundError('figures are drawn with matplotlib: pip install "esamp[studies]"')


def draw_frontier(summary: Summary, path: Path) -> None:
    """Diversity against perplexity, and what each arm gains over the temperature sweep at its own perplexity.

    Two panels have Vendi score and mean cosine, the sweep as a line and every other arm as a point; the third has the
    relative gain in Vendi score with its paired interval, which the spread between prompts does not blur.

    Args:
        summary: of the study.
        path: of the picture; its suffix says in which format.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 0.25 * len(summary.arms) + 1.8), layout="constrained")
    vendi, cosine, gains = figure.subplots(1, 3, width_ratios=[1, 1, 0.8])
    arms = [arm for arm in summary.arms if not arm.plain]
    for axes, score, label in ((vendi, "vendi", "Vendi score"), (cosine, "cosine", "mean cosine")):
        _draw_line(axes, [arm for arm in summary.arms if arm.plain], score)
        for index, arm in enumerate(arms):
            axes.plot([_perplexity(arm)], [arm.scores[score].value], ls="none", **_style(index))
        better = "higher" if score == "vendi" else "lower"
        axes.set(xlabel="perplexity (log scale)", ylabel=f"{label} ({better}: more diverse)", xscale="log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        axes.xaxis.set_minor_formatter(lambda value, _: f"{value:.3g}")
    _draw_gains(gains, arms)
    for axes in (vendi, cosine, gains):
        axes.tick_params(which="both", labelsize=8)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _draw_line(axes: Any, sweep: list[ArmSummary], score: str) -> None:
    ordered = sorted(sweep, key=lambda arm: arm.scores["perplexity"].value)
    x = [_perplexity(arm) for arm in ordered]
    y = [arm.scores[score].value for arm in ordered]
    axes.plot(x, y, color="0.35", marker=".", zorder=1)
    axes.set_title("line: plain sampling, temperature swept", fontsize=9, color="0.35")
    for arm, at in zip(ordered, zip(x, y, strict=True), strict=True):
        label = arm.name.removeprefix("plain ")
        axes.annotate(label, at, textcoords="offset points", xytext=(5, -10), fontsize=7, color="0.35")


def _draw_gains(axes: Any, arms: list[ArmSummary]) -> None:
    """A row for each arm, which is the legend of the other panels too."""
    for index, arm in enumerate(arms):
        if arm.vendi_gain is None:
            continue
        found = arm.vendi_gain.relative
        spread = [[100 * (found.value - found.low)], [100 * (found.high - found.value)]]
        axes.errorbar([100 * found.value], [-index], xerr=spread, elinewidth=1, ls="none", **_style(index))
    axes.axvline(0, color="0.35", linewidth=1, zorder=1)
    axes.set_yticks([-index for index in range(len(arms))], [arm.name for arm in arms])
    axes.yaxis.tick_right()
    axes.set_xlabel("gain in Vendi score at equal perplexity, %")
    axes.set_title("95 % paired bootstrap over prompts", fontsize=9, color="0.35")


def _style(index: int) -> dict[str, Any]:
    return {"color": f"C{index % 10}", "marker": _MARKERS[index % len(_MARKERS)], "markersize": 6}


def _perplexity(arm: ArmSummary) -> float:
    """The geometric mean over prompts, as the gains are computed with."""
    return float(arm.log_perplexity.mean().exp())
