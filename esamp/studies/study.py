"""A study: arms × tasks × seeds, cut into units that are run, written and resumed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import esamp
from esamp.studies.arm import Arm
from esamp.tasks import Problem, Task

__all__ = ["Study", "StudyTask", "Unit"]

_SLUG = 40


@dataclass(frozen=True)
class StudyTask:
    """A task as a study uses it.

    Attributes:
        name: unique in its study.
        task: the verifier.
        problems: the ones that are posed.
        settings: how it was made, as plain values: read again they give the same task.
        max_new_tokens: longest sample.
        chat: string prompts go through the model's chat template, where it has one.
    """

    name: str
    task: Task
    problems: Sequence[Problem]
    settings: dict[str, Any]
    max_new_tokens: int
    chat: bool


@dataclass(frozen=True)
class Study:
    """What is compared on what.

    Attributes:
        model: its name, as `ESampSampler.from_pretrained` takes it.
        tasks: at least one.
        n: samples of each problem.
        seeds: at least one.
        arms: at least one.
        batch_size: problems decoded together: a unit.
        dtype: of the model's weights.
        engine: name of what runs the model.
        engine_options: of it, such as those of `vllm.LLM`.

    Raises:
        ValueError: there is too little of something, or something stands twice.
    """

    model: str
    tasks: list[StudyTask]
    n: int
    seeds: list[int]
    arms: list[Arm]
    batch_size: int = 8
    dtype: str = "auto"
    engine: str = "huggingface"
    engine_options: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        ids = [(task.name, problem.id) for task in self.tasks for problem in task.problems]
        for what, values, example in (
            ("tasks", [task.name for task in self.tasks], "try {prompts: {prompts: [Tell me a joke.]}}"),
            ("seeds", self.seeds, "try [0, 1, 2]"),
            ("arms", [arm.name for arm in self.arms], "give temperatures, a grid or arms"),
            ("problems", ids, "is limit 0?"),
        ):
            if not values:
                raise ValueError(f"{what} must hold at least one, got none; {example}")
            seen: set[Any] = set()
            for value in values:
                if value in seen:
                    raise ValueError(f"{what} must differ, and {value!r} stands there twice; remove one")
                seen.add(value)

    @property
    def settings(self) -> dict[str, Any]:
        """The whole study as plain values: read again they give the same study."""
        return {
            "model": self.model,
            "dtype": self.dtype,
            **self.engine_settings,
            "n": self.n,
            "seeds": list(self.seeds),
            "batch_size": self.batch_size,
            "temperatures": [],  # every point of the sweep stands among the arms
            "tasks": {task.name: task.settings for task in self.tasks},
            "arms": {arm.name: arm.settings for arm in self.arms},
        }

    @property
    def engine_settings(self) -> dict[str, Any]:
        """The engine's name, and its options where there are some."""
        return {"engine": self.engine} | ({"engine_options": self.engine_options} if self.engine_options else {})

    @property
    def rows(self) -> int:
        """Number of samples in all."""
        return sum(unit.rows for unit in self.units())

    def units(self) -> Iterator[Unit]:
        """Every arm with every task and seed, in batches of problems. Nothing but the study decides on them.

        Seeds are outermost, so that a part of a study is a study of fewer seeds.
        """
        for seed in self.seeds:
            for task in self.tasks:
                for arm in self.arms:
                    for first in range(0, len(task.problems), self.batch_size):
                        yield Unit(self, arm, task, seed, task.problems[first : first + self.batch_size])


@dataclass(frozen=True)
class Unit:
    """Some problems of one task with one arm and one seed, decoded together: there whole, or not there.

    Attributes:
        study: the study.
        arm: the configuration.
        task: the task.
        seed: of the draws.
        problems: the batch.
    """

    study: Study = field(repr=False)
    arm: Arm
    task: StudyTask
    seed: int
    problems: Sequence[Problem]

    @property
    def rows(self) -> int:
        """Number of its samples."""
        return len(self.problems) * self.study.n

    def facts(self) -> dict[str, Any]:
        """Everything that its rows depend on, but for the model's weights, as plain values."""
        study, task = self.study, self.task
        return {
            "esamp": esamp.__version__,
            "model": study.model,
            "dtype": study.dtype,
            **study.engine_settings,
            "task": task.settings.get("task", task.name),
            "problems": [[problem.id, problem.prompt, problem.reference] for problem in self.problems],
            "stop": list(task.task.stop),
            "chat": task.chat,
            "n": study.n,
            "max_new_tokens": task.max_new_tokens,
            "seed": self.seed,
            "arm": self.arm.settings,
        }

    @cached_property
    def key(self) -> str:
        """Name of its file: readable, and another one as soon as anything its rows depend on is another."""
        text = json.dumps([self.arm.name, self.task.name, self.facts()], sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return f"{_slug(self.arm.name)}-{_slug(self.task.name)}-s{self.seed}-{digest}"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")[:_SLUG]
