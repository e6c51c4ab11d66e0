"""One configuration of a study: how to sample, and what to call it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Arm"]


@dataclass(frozen=True)
class Arm:
    """A way of sampling, held against others on the same prompts and seeds.

    Attributes:
        name: unique in its study.
        settings: what was asked for, as plain values: the columns of the table, and what a cell is recognised by.
        parts: keyword arguments of `ESampSampler`; empty for plain sampling.
        options: keyword arguments of `generate`.
    """

    name: str
    settings: dict[str, Any]
    parts: dict[str, Any] = field(default_factory=dict[str, Any])
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def plain(cls, temperature: float, options: dict[str, Any]) -> Arm:
        """Plain sampling at a temperature: a point of the line that every other arm is held against."""
        drawn = {**options, "temperature": temperature, "beta": 0.0}
        return cls(f"plain T={temperature:g}", {**options, "temperature": temperature, "beta": 0.0}, {}, drawn)

    @property
    def is_plain(self) -> bool:
        """Plain sampling: a point of the temperature sweep."""
        return self.options.get("beta") == 0.0
