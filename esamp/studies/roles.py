"""What an arm is in a study: the line to beat, a control, a peer, or what is being tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

__all__ = ["Role", "RoledArm", "role_of"]

Role = Literal["plain", "control", "peer", "trained"]
"""Plain sampling; ESamp whose distiller does not learn; another method; ESamp whose distiller learns."""

_CONTROLS = ("frozen", "noise")


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

    A control is an arm whose distiller is `frozen` or `noise`, by registry name, class or with arguments. A peer names
    neither a distiller nor a β. An arm of which nothing is known counts as trained.

    >>> role_of({"distiller": "frozen(rank=4)", "beta": 0.5}, plain=False)
    'control'
    """
    if plain:
        return "plain"
    distiller = settings.get("distiller")
    if isinstance(distiller, Mapping):
        distiller = distiller.get("class_path")
    name = str(distiller or "").partition("(")[0].rpartition(".")[2].lower()
    if name.removesuffix("distiller") in _CONTROLS:
        return "control"
    return "peer" if settings and "distiller" not in settings and "beta" not in settings else "trained"
