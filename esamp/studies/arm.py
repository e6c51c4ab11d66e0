"""One configuration of a study: how to sample, and what to call it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from esamp.sampler import ESampSampler
from esamp.samplers import Sampler

__all__ = ["GIVEN", "Arm"]

GIVEN = (
    "prompts",
    "n",
    "max_new_tokens",
    "seed",
    "chat",
    "batch_size",
    "stop",
    "ignore_eos",
    "state",
    "callbacks",
    "progress",
)
"""Arguments of `generate` that are no arm's to set: the study gives them, or leaves them alone."""


@dataclass(frozen=True)
class Arm:
    """A way of sampling, held against others on the same problems and seeds.

    Attributes:
        name: unique in its study.
        settings: what was asked for, as plain values: read again they give the same arm.
        sampler: class that draws.
        parts: keyword arguments of its constructor, beside model and tokenizer.
        options: keyword arguments of its `generate`.
        plain: it is a point of the temperature sweep: the line that every other arm is held against.
    """

    name: str
    settings: dict[str, Any]
    sampler: type[Sampler] = ESampSampler
    parts: dict[str, Any] = field(default_factory=dict[str, Any])
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    plain: bool = False

    @classmethod
    def sweep(cls, temperature: float, options: dict[str, Any]) -> Arm:
        """Plain sampling at a temperature."""
        drawn = {**options, "temperature": temperature}
        settings = {"plain": True, **drawn}
        return cls(f"plain T={temperature:g}", settings, options={**drawn, "beta": 0.0}, plain=True)

    @property
    def temperature(self) -> float | None:
        """The temperature; None where it is a schedule."""
        value = self.options.get("temperature", 1.0)
        return float(value) if isinstance(value, int | float) else None
