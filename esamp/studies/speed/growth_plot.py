"""Growth as a picture: one panel for each axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from esamp.studies.figures import check_matplotlib
from esamp.studies.speed.growth import Point, fit_line

__all__ = ["plot_growth"]

_LABELS = {
    "rows": "rows (samples of one prompt)",
    "prompts": "prompts (4 samples each)",
    "hidden_size": "hidden size (16 rows)",
    "vocabulary": "vocabulary (16 rows)",
}
# Of a palette that colour-blind readers can tell apart (Okabe & Ito, 2008).
_LOOKS = {"plain": ("#0072b2", "o", "plain"), "explored": ("#d55e00", "s", "with ESamp")}


def plot_growth(points: Sequence[Point], path: Path) -> None:
    """Milliseconds of a step against each axis, with the fitted lines; to `path`, in the format of its suffix.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    axes = list(dict.fromkeys(point.axis for point in points))
    figure = Figure(figsize=(4.2 * len(axes), 3.6), layout="constrained")
    for panel, axis in zip(figure.subplots(1, len(axes), squeeze=False)[0], axes, strict=True):
        of_axis = [point for point in points if point.axis == axis]
        x = [float(point.value) for point in of_axis]
        for name, (colour, marker, label) in _LOOKS.items():
            spreads = [getattr(point, name) for point in of_axis]
            y = [1e3 * spread.median for spread in spreads]
            errors = [[1e3 * (s.median - s.low) for s in spreads], [1e3 * (s.high - s.median) for s in spreads]]
            panel.errorbar(x, y, yerr=errors, ls="none", marker=marker, ms=4, color=colour, label=label)
            line = fit_line(x, y)
            panel.plot([0, x[-1]], [line.start, line.start + line.slope * x[-1]], color=colour, lw=1, alpha=0.6)
        panel.set_xlabel(_LABELS[axis])
        panel.set_ylabel("milliseconds a step")
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
