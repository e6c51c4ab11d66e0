"""What searches over sequences share: what a beam is, and what a search decides in each step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from typing_extensions import override

from esamp.baselines.base import plain_request
from esamp.callbacks import Callback, GenerateStart, ProgressBar
from esamp.callbacks.base import check_callbacks
from esamp.candidates import Filters
from esamp.checks import check_flag
from esamp.draws import GumbelDraw
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.text import Prompt
from esamp.generation.request import Request
from esamp.result import Diagnostics, GenerationResult, Sample
from esamp.samplers import Sampler, samplers

__all__ = ["Beams", "Choice", "SequenceSearch"]


@dataclass(frozen=True)
class Beams:
    """The n beams of each prompt before a step.

    Attributes:
        log_probs: of each token after each beam. A beam that has ended has one way on, token 0 of log-probability 0,
            which leaves it as it is.
        score: what the search has made of each beam so far; -inf where there is no beam.
        total: log-probability of each beam.
        length: tokens of each beam.
        ended: it has its last token.
        step: number of tokens of those that have not ended.
    """

    log_probs: Float[Tensor, "prompts n vocab"]
    score: Float[Tensor, "prompts n"]
    total: Float[Tensor, "prompts n"]
    length: Int[Tensor, "prompts n"]
    ended: Bool[Tensor, "prompts n"]
    step: int

    @property
    def next_length(self) -> Int[Tensor, "prompts n"]:
        """Tokens of each beam after the step."""
        return self.length + (~self.ended).long()


@dataclass(frozen=True)
class Choice:
    """The n beams of each prompt after a step, the best first: which beam each goes on from, by which token."""

    parent: Int[Tensor, "prompts n"]
    token: Int[Tensor, "prompts n"]
    score: Float[Tensor, "prompts n"]

    @classmethod
    def largest(cls, score: Float[Tensor, "prompts n vocab"], rank: Tensor, count: int) -> Choice:
        """The `count` ways on of largest `rank`, with their scores."""
        vocabulary = score.shape[-1]
        found = rank.flatten(1).topk(count).indices
        return cls(found // vocabulary, found % vocabulary, score.flatten(1).gather(1, found))


class SequenceSearch(Sampler):
    """Searches for n different texts of each prompt, all of them at once.

    A beam that ends keeps its place and competes with what it was then. Samples come best first. The log-probabilities
    of a search that does not draw are NaN; those under the LLM are always there. A prompt gets fewer than n samples
    only where the model can say no more than that.

    Args:
        model: any decoder-only transformers model.
        tokenizer: its tokenizer.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or the model cannot be decoded.

    Examples:
        Beam search, written anew:

        >>> from esamp.testing.models import tiny_model, tiny_tokenizer
        >>> class PlainBeams(SequenceSearch):
        ...     def start(self, n: int) -> torch.Tensor:
        ...         return torch.tensor([0.0] + [-torch.inf] * (n - 1))
        ...     def choose(self, beams: Beams, seed: int) -> Choice:
        ...         score = beams.score.unsqueeze(-1) + beams.log_probs
        ...         return Choice.largest(score, rank=score, count=score.shape[1])
        ...     def settings(self) -> dict:
        ...         return {}
        >>> result = PlainBeams(tiny_model(), tiny_tokenizer()).generate("Hello", n=4, max_new_tokens=6)
        >>> likelihoods = [float(sample.reference_log_probs.sum()) for sample in result.samples[0]]
        >>> len(set(result.texts[0])), likelihoods == sorted(likelihoods, reverse=True)
        (4, True)
    """

    temperature: float = 1.0
    """Of the distribution that is searched."""
    draws: bool = False
    """The beams are random draws, so that their log-probabilities mean something."""

    def __init__(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> None:
        self.engine: HuggingFaceEngine = HuggingFaceEngine(model, tokenizer)

    @abstractmethod
    def start(self, n: int) -> Float[Tensor, " n"]:
        """Scores of n beams that are all empty; -inf for those that are not to go on.

        Raises:
            ValueError: there cannot be so many.
        """

    @abstractmethod
    def choose(self, beams: Beams, seed: int) -> Choice:
        """One step of the search."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The sampler's own arguments as plain values, for the record."""

    @override
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
        request = plain_request(
            self.engine,
            prompts,
            n=n,
            max_new_tokens=max_new_tokens,
            filters=Filters(self.temperature),
            seed=seed,
            draw=GumbelDraw(),
            waves=1,
            stop=stop,
            ignore_eos=ignore_eos,
            chat=chat,
            batch_size=batch_size,
        )
        if len(set(request.counts)) > 1:
            raise ValueError(f"n must be one number for all prompts of a search, got {request.counts}")
        hooks = check_callbacks(callbacks)
        hooks += [ProgressBar()] if check_flag("progress", progress) else []
        name, model = samplers.name_of(self), self.engine.model.config.name_or_path
        settings = {"sampler": name, "model": model, **request.settings(), **self.settings()}
        try:
            return self._run(request, settings, hooks)
        except BaseException as error:
            for callback in hooks:
                callback.on_exception(error)
            raise

    def _run(self, request: Request, settings: dict[str, Any], hooks: Sequence[Callback]) -> GenerationResult:
        from esamp.baselines.beams.search import Search  # it needs this module's classes

        start = GenerateStart(len(request.texts), settings["n"], sum(request.counts), request.max_new_tokens, settings)
        for callback in hooks:
            callback.on_generate_start(start)
        samples: list[list[Sample]] = []
        for (batch,) in request.batches():
            for of_prompt in Search(self, batch).run():
                samples.append(of_prompt)
                for sample in of_prompt:
                    for callback in hooks:
                        callback.on_sample_end(sample)
        nothing = Diagnostics(torch.full((len(samples), 0), torch.nan), torch.zeros(len(samples), dtype=torch.int64))
        result = GenerationResult(request.texts, samples, nothing, settings)
        for callback in hooks:
            callback.on_generate_end(result)
        return result

    @override
    def describe(self) -> str:
        """What happens in one decode step, in order, a line a stage."""
        own = ", ".join(f"{name} {value}" for name, value in self.settings().items())
        return f"1. log-probabilities of every token after every beam\n2. {type(self).__name__}: the n best ({own})"
