"""What every way of sampling promises, and their names: ESamp and what it is measured against."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from esamp.callbacks import Callback
from esamp.engines.text import Prompt
from esamp.registry import Registry
from esamp.result import GenerationResult

__all__ = ["Sampler", "samplers"]


class Sampler(ABC):
    """Draws n samples of each prompt. Made of (model, tokenizer, **its own arguments), all of them plain values.

    Examples:
        Each by its name:

        >>> from esamp.baselines import samplers
        >>> from esamp.testing.models import tiny_model, tiny_tokenizer
        >>> samplers.names()
        ['beam', 'contrastive', 'diverse_beam', 'esamp', 'override', 'plain', 'stochastic_beam']
        >>> sampler: Sampler = samplers.resolve("plain")(tiny_model(), tiny_tokenizer())
        >>> len(sampler.generate("Hello", n=4, max_new_tokens=8).texts[0])
        4
    """

    @abstractmethod
    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        n: int | Sequence[int] = 16,
        *,
        max_new_tokens: int = 128,
        seed: int = 0,
        stop: str | Sequence[str] = (),
        ignore_eos: bool = False,
        chat: bool = False,
        batch_size: int | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
    ) -> GenerationResult:
        """Draw n samples of each prompt. The arguments are those of `ESampSampler.generate`.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: an argument is out of range, empty or contradictory, or a prompt does not fit the context.
        """

    @abstractmethod
    def describe(self) -> str:
        """What happens in one decode step, in order, a line a stage."""


samplers: Registry[Sampler] = Registry("sampler", Sampler)
"""Registry of the ways of sampling; `esamp.baselines` fills it, ESamp itself included."""
