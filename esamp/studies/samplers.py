"""What a study can draw with: anything that is built on a model and generates as `ESampSampler` does."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from esamp.registry import Registry
from esamp.result import GenerationResult
from esamp.sampler import ESampSampler

__all__ = ["Sampler", "samplers"]


@runtime_checkable
class Sampler(Protocol):
    """A class whose constructor takes (model, tokenizer, **settings)."""

    def generate(self, *arguments: Any, **options: Any) -> GenerationResult:
        """Samples of prompts: `generate(prompts, n, max_new_tokens=, seed=, chat=, stop=, ...)`."""
        ...


samplers: Registry[Sampler] = Registry("sampler", Sampler)
"""Registry of the samplers."""
samplers.register("esamp")(ESampSampler)
