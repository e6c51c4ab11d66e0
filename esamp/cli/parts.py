"""The parts of a sampler that the command line and configuration files name."""

from __future__ import annotations

from typing import Any

from esamp.distillers import distillers
from esamp.draws import draws
from esamp.fusion import fusions
from esamp.registry import Registry
from esamp.schedulers import schedulers
from esamp.sharing import sharings

__all__ = ["PARTS"]

PARTS: dict[str, Registry[Any]] = {
    "distiller": distillers,
    "fusion": fusions,
    "scheduler": schedulers,
    "draw": draws,
    "sharing": sharings,
    "domains": sharings,
}
"""Registry of each part of the sampler."""
