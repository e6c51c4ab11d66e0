"""What an arm is in a study: the line to beat, a control, a peer, or what is being tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

__all__ = ["Role", "RoledArm", "role_of"]

Role = Literal["plain", "control", "peer", "trained"]
"""Plain sampling; ESamp that does not learn from its siblings; another method; ESamp that does."""

_CONTROLS = ("frozen", "noise")
_SHARES_NOTHING = ("per_sample", "persample")
_NO_DISTILLERS = ("early_exit", "earlyexit")


@final
@dataclass(frozen=True)
class RoledArm:
    """An arm and what it is.

    Attributes:
        name: of the arm.
        role: what it is.
    """

    name: str
    role: Role


def role_of(settings: Mapping[str, Any], plain: bool) -> Role:
    """The role of an arm by its settings.

    A control is an arm whose distiller is `frozen` or `noise`, by registry name, class or with arguments, or whose
    samples have distillers of their own (`sharing: per_sample`). A peer is an arm of another sampler, one whose β is 0,
    or whose distiller is the early exit, which is made to be no distiller. An arm of which nothing is known counts as
    trained.

    >>> role_of({"distiller": "frozen(rank=4)", "beta": 0.5}, plain=False)
    'control'
    >>> role_of({"distiller": "recursive_least_squares", "beta": 0, "draw": "arithmetic"}, plain=False)
    'peer'
    """
    if plain:
        return "plain"
    name = _part(settings.get("distiller")).removesuffix("distiller")
    if name in _CONTROLS or _part(settings.get("sharing")) in _SHARES_NOTHING:
        return "control"
    if name in _NO_DISTILLERS or settings.get("beta") == 0:
        return "peer"
    return "peer" if settings and "distiller" not in settings and "beta" not in settings else "trained"


def _part(said: Any) -> str:
    """The last name of a part, however it is written, in small letters."""
    path = said.get("class_path") if isinstance(said, Mapping) else said
    return str(path or "").partition("(")[0].rpartition(".")[2].lower()
