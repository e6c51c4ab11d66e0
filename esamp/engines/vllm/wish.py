"""One call of `generate`, as the requests that vLLM is given: one for each sample."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

from esamp.candidates import Filters
from esamp.strength import name_betas

__all__ = ["Wish"]


@dataclass(frozen=True)
class Wish:
    """The arguments of one call, checked; by the names of `esamp.generation.request.Request`.

    `common` is what all of its requests have in common, `run` a mark that no other call has.
    """

    texts: list[str]
    encoded: list[list[int]]
    counts: list[int]
    groups: list[int]
    beta: Float[Tensor, "prompts n"]
    waves: int
    filters: Filters = field(default_factory=Filters)
    seed: int = 0
    common: dict[str, Any] = field(default_factory=dict[str, Any])
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def of_wave(self, prompt: int, wave: int) -> range:
        """The samples of a prompt in a wave; the first waves take one more of what cannot be divided."""
        each, rest = divmod(self.counts[prompt], self.waves)
        start = wave * each + min(wave, rest)
        return range(start, start + each + (wave < rest))

    def mark(self, prompt: int, index: int) -> str:
        """What a sample is recorded under."""
        return f"{self.run} {prompt} {index}"

    def parameters(self, prompt: int, index: int) -> dict[str, Any]:
        """The arguments of `vllm.SamplingParams` for one sample."""
        filters = {f"esamp_{name}": value for name, value in vars(self.filters).items() if value is not None}
        temperature = filters.pop("esamp_temperature")
        ours = {"esamp_group": f"{self.run} {self.groups[prompt]}", "esamp_sample": index, "esamp_seed": self.seed}
        ours |= {"esamp_beta": float(self.beta[prompt, index]), "esamp_record": self.mark(prompt, index)}
        return {"temperature": temperature, "extra_args": filters | ours, **self.common}

    def settings(self) -> dict[str, Any]:
        """As plain values, for the record."""
        return {
            "n": self.counts[0] if len(set(self.counts)) == 1 else self.counts,
            **self.filters.settings(),
            "max_new_tokens": self.common["max_tokens"],
            "seed": self.seed,
            "beta": name_betas(self.beta),
            "waves": self.waves,
            "groups": self.groups,
            "stop": self.common["stop"],
        }
