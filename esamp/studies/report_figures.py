"""The figures of a report: one panel each, so that they can be read on a phone and pasted alone."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from esamp.metrics.intervals import Interval
from esamp.studies.figures import check_matplotlib
from esamp.studies.palette import Look, Theme
from esamp.studies.step_curves import Curve

__all__ = ["Plot", "Point", "draw"]

_SIZE = (4.8, 3.8)
_DENSE = 9

# Letters of a name that fits beside another in the legend; lines that there is room for; inches of one more line.
_SHORT = 24
_LINES = 4
_LINE = 0.19


@final
@dataclass(frozen=True)
class Point:
    """An arm as a point with its intervals."""

    x: Interval
    y: Interval


@final
@dataclass(frozen=True)
class Plot:
    """What one figure shows.

    Attributes:
        name: of its files.
        title: what it is, in a few words.
        caption: how to read it.
        x: label of the axis.
        y: likewise.
        curves: by arm; a band is its interval.
        points: by arm.
        line: names of the arms whose points are joined: the sweep, in this order.
        bandless: arms whose interval is left out, so that the others can be seen.
        log_x: the x axis is logarithmic.
    """

    name: str
    title: str
    caption: str
    x: str
    y: str
    curves: Mapping[str, Curve] = field(default_factory=dict[str, Curve])
    points: Mapping[str, Point] = field(default_factory=dict[str, Point])
    line: Sequence[str] = ()
    bandless: Sequence[str] = ()
    log_x: bool = False


def draw(plot: Plot, looks: Mapping[str, Look], theme: Theme, form: str = "svg") -> bytes:
    """The figure as a file.

    Args:
        plot: what it shows.
        looks: of each arm.
        theme: light or dark.
        form: "svg" or "png".

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    check_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    # Equal data give equal files: no date, and ids of their own seed.
    settings: dict[Any, Any] = {
        "svg.hashsalt": plot.name,
        "font.size": 9,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=_SIZE, layout="constrained", facecolor=theme.paper)
        axes: Any = figure.subplots()
        _curves(axes, plot, looks, theme)
        _points(axes, plot, looks, theme)
        _frame(axes, plot, theme)
        names = axes.get_legend_handles_labels()[1]
        columns = 2 if max(map(len, names), default=0) <= _SHORT else 1
        # The axes keep their size, however many arms there are to name.
        lines = math.ceil(len(names) / columns)
        figure.set_figheight(_SIZE[1] + _LINE * max(0, lines - _LINES))
        figure.legend(
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            labelcolor=theme.ink,
            fontsize=8.5,
            handlelength=2.4,
        )
        written = io.BytesIO()
        figure.savefig(written, format=form, dpi=160, metadata={"Date": None} if form == "svg" else {"Software": None})
    return written.getvalue()


def _curves(axes: Any, plot: Plot, looks: Mapping[str, Look], theme: Theme) -> None:
    for arm, curve in plot.curves.items():
        look, colour = looks[arm], looks[arm].colour(theme)
        if arm not in plot.bandless:
            axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0)
        every = max(1, len(curve.x) // _DENSE)
        thin = arm in plot.bandless
        axes.plot(
            curve.x,
            curve.value,
            label=arm,
            color=colour,
            linestyle=look.dashes,
            linewidth=1.0 if thin else 1.8,
            marker=look.marker,
            markevery=every,
            markersize=3 if thin else 5,
        )


def _points(axes: Any, plot: Plot, looks: Mapping[str, Look], theme: Theme) -> None:
    joined = [name for name in plot.line if name in plot.points]
    if joined:
        x, y = ([getattr(plot.points[name], axis).value for name in joined] for axis in ("x", "y"))
        axes.plot(x, y, color=theme.soft, linewidth=1.6, zorder=1, label="plain sampling, temperature swept")
        low, high = ([getattr(plot.points[name].y, end) for name in joined] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=theme.soft, alpha=0.16, linewidth=0, zorder=0)
    for arm, point in plot.points.items():
        look, colour = looks[arm], looks[arm].colour(theme)
        if arm in joined:
            axes.plot([point.x.value], [point.y.value], color=theme.soft, marker="o", markersize=4, zorder=2)
            axes.annotate(
                arm.removeprefix("plain "),
                (point.x.value, point.y.value),
                textcoords="offset points",
                xytext=(4, -11),
                fontsize=8,
                color=theme.ink,
            )
            continue
        spread = {f"{a}err": [[e.value - e.low], [e.high - e.value]] for a, e in (("x", point.x), ("y", point.y))}
        axes.errorbar(
            [point.x.value],
            [point.y.value],
            **spread,
            label=arm,
            color=colour,
            marker=look.marker,
            linestyle="none",
            elinewidth=1.1,
            markersize=7,
            zorder=3,
        )


def _frame(axes: Any, plot: Plot, theme: Theme) -> None:
    axes.set_facecolor(theme.paper)
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    axes.set_title(plot.title, loc="left", fontsize=10.5, fontweight="bold", color=theme.ink)
    if plot.log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        axes.xaxis.set_minor_formatter(lambda value, _: f"{value:.3g}")
        axes.xaxis.set_minor_locator(_few_ticks())
    axes.tick_params(which="both", colors=theme.ink, labelsize=8.5)
    axes.grid(alpha=0.25, color=theme.soft)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.soft)


def _few_ticks() -> Any:
    from matplotlib.ticker import LogLocator

    return LogLocator(subs=(2, 3, 5))
