"""Hooks into `generate`, in Lightning's manner."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Int
from torch import Tensor

from esamp.policy import Drawn, Fused

if TYPE_CHECKING:
    from esamp.result import GenerationResult, Sample

__all__ = ["Callback", "GenerateStart", "StepRecord", "check_callbacks"]


@dataclass(frozen=True)
class GenerateStart:
    """What is about to run.

    Attributes:
        prompts: number of prompts.
        n: samples of each prompt: one number where they are all equal.
        samples: number of samples in all.
        max_new_tokens: longest sample.
        settings: every setting of the run.
    """

    prompts: int
    n: int | list[int]
    samples: int
    max_new_tokens: int
    settings: dict[str, Any]


@dataclass(frozen=True)
class StepRecord:
    """One decode step of a batch of prompts.

    Attributes:
        step: number of tokens each row had before it.
        prompt: prompt index of each row.
        sample: sample index of each row.
        fused: the distribution of the step, with its diagnostics.
        drawn: the tokens.
        losses: gives `loss`, and waits for it if need be.
        finished: samples that ended with this step.
    """

    step: int
    prompt: Int[Tensor, " rows"]
    sample: Int[Tensor, " rows"]
    fused: Fused
    drawn: Drawn
    losses: Callable[[], Float[Tensor, " groups"]]
    finished: list[Sample]

    @property
    def loss(self) -> Float[Tensor, " groups"]:
        """Each group's loss in this step; NaN where nothing is learnt. Whoever reads it waits for the distillers."""
        return self.losses()


class Callback:
    """Override what you need; each hook does nothing by default. Exceptions end the run and reach the caller."""

    def on_generate_start(self, start: GenerateStart) -> None:
        """Before the first prefill."""

    def on_step(self, record: StepRecord) -> None:
        """After each decode step. Reading a tensor here costs a synchronisation on a GPU."""

    def on_sample_end(self, sample: Sample) -> None:
        """A sample is complete."""

    def on_generate_end(self, result: GenerationResult) -> None:
        """All samples are complete."""

    def on_exception(self, error: BaseException) -> None:
        """The run ends here, by an error or by Ctrl-C, which goes on to the caller; `on_generate_end` does not come."""


def check_callbacks(callbacks: object) -> list[Callback]:
    """`callbacks` as a list.

    Raises:
        TypeError: it is not a sequence of `Callback` instances.
    """
    if not isinstance(callbacks, Sequence) or not all(isinstance(callback, Callback) for callback in callbacks):
        raise TypeError(f"callbacks must be a list of esamp.Callback instances, got {reprlib.repr(callbacks)}")
    return list(callbacks)
