"""Parts as a user's own package would define them; the tests name them by dotted path."""

from __future__ import annotations

from typing import ClassVar

import torch

from esamp import ESampSampler
from esamp.distillers import Distiller, GradientDistiller
from esamp.distillers.optimizers import Adam
from esamp.result import GenerationResult
from esamp.samplers import Sampler
from esamp.tasks import Problem, Task, Verdict


class Constant(GradientDistiller):
    """Predicts the same vector, `size` times a learned one, wherever it is."""

    seen: ClassVar[list[float]] = []

    def __init__(self, size: float = 1.0) -> None:
        super().__init__(Adam(), None, 0)
        self.size = size
        Constant.seen.append(size)

    def init_parameters(self, hidden_size, generator):
        return {"mean": torch.zeros(hidden_size)}

    def predict(self, weights, shallow):
        return self.size * weights["mean"].unsqueeze(1).expand_as(shallow)


class Unfinished(Distiller):
    """Abstract still."""


class Letters(Task):
    """Right is what holds the letter; of one letter the verifier knows nothing."""

    max_new_tokens = 5

    def __init__(self, letters: str = "aeb", broken: str = "") -> None:
        self.letters, self.broken = letters, broken

    def problems(self) -> list[Problem]:
        return [Problem(letter, f"Write {letter}", letter) for letter in self.letters]

    def verify(self, problem: Problem, text: str) -> Verdict:
        if problem.id == self.broken:
            raise RuntimeError("no idea")
        return Verdict(problem.reference in text, answer=text[:1] or None, detail="looked for it")


class Fixed(Sampler):
    """A sampler that is none of the library's: plain sampling at one temperature."""

    def __init__(self, model, tokenizer, *, warmth: float = 1.0) -> None:
        if warmth <= 0:
            raise ValueError(f"warmth must be positive, got {warmth}")
        self.inner, self.warmth = ESampSampler(model, tokenizer), warmth

    def describe(self) -> str:
        return "plain"

    def generate(self, prompts, n, *, max_new_tokens, seed, chat, stop, top_k=None) -> GenerationResult:
        options = {"max_new_tokens": max_new_tokens, "seed": seed, "chat": chat, "stop": stop, "top_k": top_k}
        return self.inner.generate(prompts, n, temperature=self.warmth, beta=0.0, **options)
