"""Figures that are readable on light and on dark paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cycler import cycler

from esamp.studies.palette import DARK, LIGHT, looks
from esamp.studies.roles import RoledArm

__all__ = ["STYLE", "themed"]

_ARMS = [RoledArm(str(place), "trained") for place in range(7)]
_COLOURS = [(look.light, look.dark) for look in looks(_ARMS).values()]
_PAIRS = {
    LIGHT.paper: DARK.paper,
    LIGHT.ink: DARK.ink,
    LIGHT.soft: DARK.soft,
    "#000000": DARK.ink,
    "#595959": DARK.soft,
    **dict(_COLOURS),
}
"""Of each colour that a figure is drawn with, the one it has on dark paper; black and #595959 are `esamp ablate`'s."""

STYLE: dict[Any, Any] = {
    "axes.edgecolor": LIGHT.soft,
    "axes.facecolor": LIGHT.paper,
    "axes.labelcolor": LIGHT.ink,
    "axes.prop_cycle": cycler(color=[light for light, _ in _COLOURS]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.facecolor": LIGHT.paper,
    "font.size": 10,
    "grid.color": LIGHT.soft,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "esamp",
    "text.color": LIGHT.ink,
    "xtick.color": LIGHT.ink,
    "ytick.color": LIGHT.ink,
}
"""matplotlib's settings while a page runs, so that its code need not speak of colours."""


def themed(svg: str) -> str:
    """A figure of matplotlib's that takes the dark colours where the reader's page is dark; the date is left out."""
    svg = re.sub(r" *<metadata>.*?</metadata>\n", "", svg, flags=re.DOTALL)
    style = "\n".join(["<style>", "@media (prefers-color-scheme: dark) {", *_rules(), "}", "</style>"])
    return re.sub(r"(<svg [^>]*>\n)", lambda found: f"{found[1]}{style}\n", svg, count=1)


def _rules() -> Iterator[str]:
    for light, dark in _PAIRS.items():
        yield f'[style*="fill: {light}"] {{ fill: {dark} !important }}'
        yield f'[style*="stroke: {light}"] {{ stroke: {dark} !important }}'
    # What has no colour of its own is black.
    yield f"text:not([style*='fill']) {{ fill: {DARK.ink} }}"
