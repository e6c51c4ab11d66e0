"""Colours of arms, the same in every figure and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from esamp.studies.roles import RoledArm

__all__ = ["DARK", "LIGHT", "Look", "Theme", "looks"]


@final
@dataclass(frozen=True)
class Theme:
    """What a figure is drawn on and with.

    Attributes:
        name: "light" or "dark".
        paper: the background.
        ink: text and axes.
        soft: the grid.
    """

    name: str
    paper: str
    ink: str
    soft: str


LIGHT = Theme("light", "#ffffff", "#23211d", "#8a867d")
DARK = Theme("dark", "#1c1e22", "#e6e3dc", "#85888f")


@final
@dataclass(frozen=True)
class Look:
    """How an arm is drawn. Colour is never all that tells two arms apart: marker and dashes differ too.

    Attributes:
        light: its colour on light paper.
        dark: its colour on dark paper.
        marker: matplotlib's letter for it.
        dashes: matplotlib's line style.
    """

    light: str
    dark: str
    marker: str
    dashes: str

    def colour(self, theme: Theme) -> str:
        """Its colour on this paper."""
        return self.light if theme.name == "light" else self.dark


# After Okabe and Ito's palette for colour-blind readers, darkened or lightened to stand out on either paper.
_COLOURS = (
    ("#b4531a", "#f0a063"),
    ("#0067a5", "#6fb7e9"),
    ("#00795a", "#3fc79a"),
    ("#9c4a7f", "#e3a3c8"),
    ("#7a6400", "#dcc850"),
    ("#5a4bb0", "#b3a6f2"),
    ("#8c2f39", "#f08c98"),
)
_GREYS = (("#a09c94", "#6f727a"), ("#7d7a73", "#8f929a"), ("#5c5953", "#b2b4ba"), ("#3a3833", "#d6d7da"))
_MARKERS, _DASHES = "os^DvP*X", ("-", "--", "-.", ":")


def looks(arms: Sequence[RoledArm]) -> dict[str, Look]:
    """A look for each arm: plain sampling in greys, darker with each temperature; the others in colours."""
    plain = [arm.name for arm in arms if arm.role == "plain"]
    others = [arm.name for arm in arms if arm.role != "plain"]
    found: dict[str, Look] = {}
    for place, name in enumerate(plain):
        light, dark = _GREYS[round(place * (len(_GREYS) - 1) / max(len(plain) - 1, 1))]
        found[name] = Look(light, dark, ".", _DASHES[place % len(_DASHES)])
    for place, name in enumerate(others):
        light, dark = _COLOURS[place % len(_COLOURS)]
        turn = place // len(_COLOURS)
        found[name] = Look(light, dark, _MARKERS[place % len(_MARKERS)], _DASHES[turn % len(_DASHES)])
    return found
