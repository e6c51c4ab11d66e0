"""What a task is: problems, and a verdict on each sample of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from esamp.engines.text import Prompt
from esamp.registry import Registry

__all__ = ["Problem", "Task", "Verdict", "tasks"]


@dataclass(frozen=True)
class Problem:
    """One thing to be answered n times.

    Attributes:
        id: tells it from the task's other problems, and stays the same from run to run.
        prompt: raw text, chat messages or token ids, as `ESampSampler.generate` takes it.
        reference: what the task's `verify` needs beside the sample, as plain values.
    """

    id: str
    prompt: Prompt
    reference: Any = None


@dataclass(frozen=True)
class Verdict:
    """What became of one sample.

    Attributes:
        correct: whether it is right, or valid; None where there is nothing to check.
        answer: the answer in its normal form: two samples that say the same have the same; None where there is none.
        detail: why, in a few words, where that is not obvious.
    """

    correct: bool | None
    answer: str | None = None
    detail: str = ""


class Task(ABC):
    """Problems with a verifier.

    Attributes:
        chat: string prompts go through the model's chat template.
        stop: strings that end a sample.
        max_new_tokens: longest sample, unless a study says otherwise.
    """

    chat: bool = False
    stop: Sequence[str] = ()
    max_new_tokens: int = 128

    @abstractmethod
    def problems(self) -> list[Problem]:
        """All problems, in an order that stays the same.

        Raises:
            FileNotFoundError: the task's data is not there; the message says how to get it.
            ValueError: the data is not in the data set's format.
        """

    @abstractmethod
    def verify(self, problem: Problem, text: str) -> Verdict:
        """Judge one sample of a problem. A sample never makes it raise, whatever it holds."""


tasks: Registry[Task] = Registry("task", Task)
"""Registry of the tasks."""
