"""Configurations with a name: which parts belong together."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from esamp.checks import check_choice

__all__ = ["PRESETS", "preset_parts"]

PRESETS: MappingProxyType[str, MappingProxyType[str, Any]] = MappingProxyType(
    {
        "explore": MappingProxyType(
            {
                "distiller": "recursive_least_squares",
                "fusion": "choice_novelty",
                "draw": "in_turn",
                "beta": 0.5,
            }
        ),
        "paper": MappingProxyType({"distiller": "mlp", "fusion": "beta_mix", "draw": "gumbel", "beta": 0.25}),
    }
)
"""Keyword arguments of `ESampSampler` by the preset's name.

"explore" is what did best in our own study (docs/explore.md): ESamp, and away from what siblings choose. "paper" is
ESamp as published (arXiv 2604.24927): two gated blocks of width 384, Adam at 4e-4, β = 0.25.
"""


def preset_parts(name: str) -> dict[str, Any]:
    """The keyword arguments of a preset, to be changed and given to `ESampSampler`.

    Raises:
        ValueError: there is no such preset.

    Examples:
        >>> sorted(PRESETS), preset_parts("paper")["distiller"]
        (['explore', 'paper'], 'mlp')
    """
    return dict(PRESETS[check_choice("preset", name, tuple(PRESETS))])
