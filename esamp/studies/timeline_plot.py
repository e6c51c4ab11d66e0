"""A timeline as a picture."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from esamp.studies.figures import check_matplotlib
from esamp.studies.timeline import FIRST, LEARN, PREDICT, REST, Timeline

__all__ = ["plot_timeline"]

# Of a palette that colour-blind readers can tell apart (Okabe & Ito, 2008).
_LOOKS = {
    REST: (1, "#a6bddb", "layers 2 … L and the head"),
    FIRST: (1, "#0072b2", "first layer"),
    PREDICT: (0, "#009e73", "predict"),
    LEARN: (0, "#d55e00", "learn"),
}
_SIZE, _DPI, _HEIGHT = (11.0, 2.6), 150, 0.62


def plot_timeline(timeline: Timeline, path: Path, title: str) -> None:
    """Draw the rows "LLM" and "distiller" over time and write them to `path`, in the format of its suffix.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    for name, (row, colour, label) in _LOOKS.items():
        bars = [(span.start * 1e3, (span.end - span.start) * 1e3) for span in timeline.of(name)]
        axes.broken_barh(bars, (row - _HEIGHT / 2, _HEIGHT), facecolors=colour, label=label)
    steps = timeline.of(REST)
    between = [(last.end * 1e3, (following.start - last.end) * 1e3) for last, following in pairwise(steps)]
    axes.broken_barh(between, (1 - _HEIGHT / 2, _HEIGHT), facecolors="#e5e5e5", label="sampling")
    axes.set_yticks([0, 1], ["distiller", "LLM"])
    axes.set_ylim(-0.6, 1.6)
    axes.set_xlabel("milliseconds")
    axes.set_title(title, loc="left", fontsize="medium")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
