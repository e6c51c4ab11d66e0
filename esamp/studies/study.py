"""A study: arms × seeds on the same prompts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import esamp
from esamp.studies.arm import Arm

__all__ = ["Cell", "Study"]

_SLUG = 40


@dataclass(frozen=True)
class Study:
    """What is compared on what.

    Attributes:
        model: name of the model, as `ESampSampler.from_pretrained` takes it.
        prompts: at least two, so that there is something to resample.
        n: samples of each prompt.
        max_new_tokens: longest sample.
        seeds: at least one.
        arms: at least two of them plain, at different temperatures: the line the others are held against.
        chat: prompts go through the model's chat template.
        batch_size: prompts decoded together; None: all.

    Raises:
        ValueError: there is too little of something, or something stands twice.
    """

    model: str
    prompts: list[str]
    n: int
    max_new_tokens: int
    seeds: list[int]
    arms: list[Arm]
    chat: bool = True
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if len(self.prompts) < 2:
            raise ValueError(f"prompts must hold at least 2, got {self.prompts!r}; intervals come from resampling them")
        if not self.seeds:
            raise ValueError("seeds must hold at least one number, got none; try [0, 1, 2]")
        sweep = [arm.name for arm in self.arms if arm.is_plain]
        if len(sweep) < 2:
            raise ValueError(f"plain must hold at least 2 temperatures to make a line of, got {sweep}")
        for what, values in (("seeds", self.seeds), ("prompts", self.prompts), ("arms", [a.name for a in self.arms])):
            repeated = [value for index, value in enumerate(values) if value in values[:index]]
            if repeated:
                raise ValueError(f"{what} must differ, and {repeated[0]!r} stands there twice; remove one")

    def cells(self) -> Iterator[Cell]:
        """Every arm with every seed; seeds outermost, so that a part of a study is a study of fewer seeds."""
        for seed in self.seeds:
            for arm in self.arms:
                yield Cell(self, arm, seed)


@dataclass(frozen=True)
class Cell:
    """One arm with one seed: the unit that is run, written and resumed.

    Attributes:
        study: the study.
        arm: the configuration.
        seed: of the draws.
    """

    study: Study
    arm: Arm
    seed: int

    def facts(self) -> dict[str, Any]:
        """Everything that its samples depend on, as plain values."""
        study = self.study
        return {
            "esamp": esamp.__version__,
            "model": study.model,
            "prompts": study.prompts,
            "chat": study.chat,
            "n": study.n,
            "max_new_tokens": study.max_new_tokens,
            "batch_size": study.batch_size,
            "seed": self.seed,
            **self.arm.settings,
        }

    @property
    def key(self) -> str:
        """Name of its folder: readable, and another one as soon as anything its samples depend on is another."""
        text = json.dumps(self.facts(), sort_keys=True, default=str)
        slug = re.sub(r"[^a-z0-9.]+", "-", self.arm.name.lower()).strip("-")[:_SLUG]
        return f"{slug}-s{self.seed}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
