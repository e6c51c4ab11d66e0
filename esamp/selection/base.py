"""What a selection is, and what makes one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from esamp.registry import Registry
from esamp.result import GenerationResult, Sample

__all__ = ["Selection", "Selector", "check_samples", "parse_selector", "select", "selectors"]


@dataclass(frozen=True)
class Selection:
    """What was chosen among the samples of one prompt.

    Attributes:
        samples: the chosen ones, the best first.
        scores: of each, what it was chosen by: a share of the votes, a reward, a Vendi score.
        reason: why, in a few words.
    """

    samples: list[Sample]
    scores: list[float]
    reason: str


class Selector(ABC):
    """Chooses among the samples of a prompt. It draws nothing and changes nothing; ties go to the earlier sample."""

    @abstractmethod
    def __call__(self, prompt: str, samples: Sequence[Sample]) -> Selection:
        """Choose.

        Args:
            prompt: as the model saw it.
            samples: of that prompt, at least one.

        Raises:
            ValueError: there is no sample.
        """

    @classmethod
    @abstractmethod
    def parse(cls, argument: str | None) -> Selector:
        """The selector that `NAME:ARGUMENT` stands for on a command line.

        Raises:
            ValueError: the argument is none of this selector's.
        """


selectors: Registry[Selector] = Registry("select", Selector)
"""Registry of the selectors."""


def select(result: GenerationResult, selector: Selector) -> list[Selection]:
    """The selection of each prompt's samples."""
    return [selector(prompt, samples) for prompt, samples in zip(result.prompts, result.samples, strict=True)]


def parse_selector(text: str) -> Selector:
    """A selector by its name or dotted path, with an argument after a colon where it takes one, such as "diverse:4".

    Raises:
        ModuleNotFoundError: it needs a package that is not installed.
        ValueError: nothing goes by that name, or the argument is wrong.
    """
    name, colon, argument = text.partition(":")
    return selectors.resolve(name).parse(argument if colon else None)


def check_samples(samples: Sequence[Sample]) -> None:
    """Accept at least one sample.

    Raises:
        ValueError: there is none.
    """
    if not samples:
        raise ValueError("samples must hold at least one sample of the prompt, got none")
