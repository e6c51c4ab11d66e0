"""Our loop with ESamp on against `model.generate(do_sample=True)` without it: what people use today."""

from __future__ import annotations

import statistics
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from transformers import GenerationConfig

from esamp.checks import check_integer
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.sampler import ESampSampler
from esamp.studies.speed.pairs import Clock, Spread, Times

__all__ = ["AgainstGenerate", "Workload", "generate_ours", "generate_theirs", "measure_against_generate"]


@final
@dataclass(frozen=True)
class Workload:
    """What both are asked for.

    Attributes:
        prompts: raw text, or user messages where `ragged` and the tokenizer has a chat template.
        n: samples of each.
        max_new_tokens: longest sample.
        min_p: the filter.
        ragged: samples end at the model's own end-of-sequence tokens, as they do in use; else all have full length.
    """

    prompts: Sequence[str]
    n: int = 16
    max_new_tokens: int = 128
    min_p: float | None = 0.05
    ragged: bool = False

    def chat(self, engine: HuggingFaceEngine) -> bool:
        """The prompts go through the chat template: models that were taught to chat then end their samples."""
        return self.ragged and engine.tokenizer.chat_template is not None


@final
@dataclass(frozen=True)
class AgainstGenerate:
    """Times of alternating pairs.

    Attributes:
        ours: of each run of `ESampSampler.generate`, ESamp on.
        theirs: of each run of `model.generate`, without ESamp.
        our_tokens: tokens of each of our runs; of a sample those up to its end, the end included.
        their_tokens: likewise; what pads a finished row is not counted.
    """

    ours: Times
    theirs: Times
    our_tokens: list[int]
    their_tokens: list[int]

    @property
    def speedup(self) -> Spread:
        """Of each pair, our tokens per second over theirs."""
        return Spread.of(self._ratios(self.ours.wall, self.theirs.wall))

    @property
    def cpu_speedup(self) -> Spread:
        """The same with processor time for time."""
        return Spread.of(self._ratios(self.ours.cpu, self.theirs.cpu))

    @property
    def speeds(self) -> tuple[float, float]:
        """Tokens per second over all runs together, ours and theirs."""
        return sum(self.our_tokens) / sum(self.ours.wall), sum(self.their_tokens) / sum(self.theirs.wall)

    def summary(self) -> str:
        """One line: the median ratio with its quartiles, and both speeds."""
        ours, theirs = self.speeds
        ratio = self.speedup
        return (
            f"with ESamp {ratio.median:.2f} x the tokens/s of model.generate without it (median of "
            f"{len(self.ours.wall)} alternating pairs; half of them lie between {ratio.low:.2f} and {ratio.high:.2f}), "
            f"{self.cpu_speedup:.2f} by processor time; {ours:.1f} against {theirs:.1f} tokens/s, "
            f"{statistics.mean(self.our_tokens):.0f} and {statistics.mean(self.their_tokens):.0f} tokens a run"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        ours, theirs = self.speeds
        return {
            "ours": vars(self.ours) | {"tokens": self.our_tokens, "tokens_per_second": ours},
            "theirs": vars(self.theirs) | {"tokens": self.their_tokens, "tokens_per_second": theirs},
            "speedup": vars(self.speedup),
            "cpu_speedup": vars(self.cpu_speedup),
        }

    def _ratios(self, ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
        sides = zip(self.our_tokens, ours, self.their_tokens, theirs, strict=True)
        return [(a / s) / (b / t) for a, s, b, t in sides]


def measure_against_generate(sampler: ESampSampler, workload: Workload, pairs: int = 11) -> AgainstGenerate:
    """Time both in turn, after one warm-up of each; the same prompts, filter, dtype and model object.

    Pair i draws with seed i on both sides. Who goes first changes from pair to pair.

    Raises:
        ValueError: an argument is out of range.
    """
    check_integer("pairs", pairs, low=2, hint="one pair has no spread")
    if sampler.beta == 0:
        raise ValueError("beta must be > 0 to measure generation with ESamp, got 0; give the sampler one, such as 0.25")
    clock, times, tokens = Clock(sampler.engine.device), (Times(), Times()), (list[int](), list[int]())
    for seed in range(pairs + 1):
        for side in (0, 1) if seed % 2 else (1, 0):
            generate = (generate_ours, generate_theirs)[side]
            clock.start()
            drawn = generate(sampler, workload, seed)
            lap = clock.lap()
            if seed:
                times[side].add(lap)
                tokens[side].append(drawn)
    return AgainstGenerate(*times, *tokens)


def generate_ours(sampler: ESampSampler, workload: Workload, seed: int) -> int:
    """One run of our loop; the number of tokens."""
    result = sampler.generate(
        workload.prompts,
        workload.n,
        max_new_tokens=workload.max_new_tokens,
        min_p=workload.min_p,
        seed=seed,
        ignore_eos=not workload.ragged,
        chat=workload.chat(sampler.engine),
    )
    return result.tokens


def generate_theirs(sampler: ESampSampler, workload: Workload, seed: int) -> int:
    """One run of `model.generate` of the sampler's model, without ESamp; the number of tokens."""
    engine = sampler.engine
    ids, mask = _encode(engine, workload)
    eos = sorted(engine.eos_ids) if workload.ragged else []
    with _plain_configuration(engine.model, eos), torch.random.fork_rng():
        torch.manual_seed(seed)
        output: Any = engine.model.generate(  # pyright: ignore[reportCallIssue]
            input_ids=ids,
            attention_mask=mask,
            do_sample=True,
            num_return_sequences=workload.n,
            max_new_tokens=workload.max_new_tokens,
            min_p=workload.min_p,
            top_k=0,
        )
    drawn: Tensor = output[:, ids.shape[1] :]
    return int(_lengths(drawn, eos).sum())


def _encode(engine: HuggingFaceEngine, workload: Workload) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, padded on the left."""
    chat = workload.chat(engine)
    texts = [engine.render(prompt, chat=chat) for prompt in workload.prompts]
    encoded = [engine.encode(text, templated=chat) for text in texts]
    longest = max(map(len, encoded))
    ids = torch.zeros(len(encoded), longest, dtype=torch.int64, device=engine.device)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(encoded):
        ids[row, longest - len(tokens) :] = torch.tensor(tokens)
        mask[row, longest - len(tokens) :] = 1
    return ids, mask


def _lengths(drawn: Tensor, eos: list[int]) -> Tensor:
    """Tokens of each row up to its first end, the end included."""
    ends = torch.isin(drawn, torch.tensor(eos, dtype=drawn.dtype, device=drawn.device))
    return torch.where(ends.any(dim=1), ends.int().argmax(dim=1) + 1, drawn.shape[1])


@contextmanager
def _plain_configuration(model: Any, eos: list[int]) -> Generator[None]:
    """While entered, the model's own generation configuration has these ends and no other habits."""
    own = model.generation_config
    model.generation_config = GenerationConfig(pad_token_id=0, eos_token_id=eos or None)
    try:
        yield
    finally:
        model.generation_config = own
