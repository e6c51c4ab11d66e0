"""The arguments of one `generate` call, checked before anything is computed."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.candidates import Filters
from esamp.checks import check_flag, check_integer, check_number
from esamp.draw import MAX_SEED
from esamp.engines.huggingface.engine import HuggingFaceEngine, Prompt
from esamp.engines.huggingface.loop import Batch

__all__ = ["Beta", "Request", "check_beta"]

Beta = int | float | Tensor
"""Exploration strength: one number, or a tensor [n] or [prompts, n]."""

# Far above anything of use, and low enough that z + β (z - ẑ) stays finite in float32.
_MAX_BETA = 1e6


def check_beta(beta: object) -> float:
    """β as a float.

    Raises:
        TypeError: it is not a number.
        ValueError: it is negative, NaN or above 1e6.
    """
    hint = "0 is plain sampling, the paper's value is 0.25, and generate takes a tensor of one for each sample"
    return check_number("beta", beta, low=0, high=_MAX_BETA, hint=hint)


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        texts: rendered prompts.
        prompts: their token ids.
        n: samples of each.
        max_new_tokens: longest sample.
        filters: temperature and filters.
        seed: of the draws.
        beta: β of each sample, float32 [prompts, n]; None: the number 0, plain sampling without a distiller.
        stop: strings that end a sample.
        eos: token ids that end a sample.
        batch_size: prompts decoded together.
        padding: prompts of different lengths may share a batch.
    """

    texts: list[str]
    prompts: list[list[int]]
    n: int
    max_new_tokens: int
    filters: Filters
    seed: int
    beta: Float[Tensor, "prompts n"] | None
    stop: list[str]
    eos: frozenset[int]
    batch_size: int
    padding: bool

    @classmethod
    def check(
        cls,
        engine: HuggingFaceEngine,
        prompts: Prompt | Sequence[Prompt],
        *,
        n: int,
        max_new_tokens: int,
        filters: Filters,
        seed: int,
        beta: Beta,
        stop: str | Sequence[str],
        ignore_eos: bool,
        chat: bool,
        batch_size: int | None,
    ) -> Request:
        """A request whose every argument is right.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: an argument is out of range, empty or contradictory, or a prompt does not fit the context.
        """
        check_integer("n", n, low=1)
        check_integer("max_new_tokens", max_new_tokens, low=1)
        check_integer("seed", seed, low=0, high=MAX_SEED)
        listed = _list_of_prompts(prompts)
        check_flag("chat", chat)
        if batch_size is None:
            batch_size = len(listed)
        check_integer("batch_size", batch_size, low=1, hint="pass None to decode all prompts together")
        texts = [engine.render(prompt, chat=chat) for prompt in listed]
        encoded = [
            engine.encode(text, templated=chat or not isinstance(prompt, str))
            for text, prompt in zip(texts, listed, strict=True)
        ]
        for index, ids in enumerate(encoded):
            _check_length(index, len(ids), max_new_tokens, engine.context_length)
            _check_ids(index, ids, engine.known_tokens)
        return cls(
            texts,
            encoded,
            n,
            max_new_tokens,
            filters,
            seed,
            _beta_per_sample(beta, len(texts), n),
            _check_stop(stop),
            frozenset() if check_flag("ignore_eos", ignore_eos) else engine.eos_ids,
            batch_size,
            padding=batch_size == 1 or len({len(ids) for ids in encoded}) == 1 or engine.pads_left,
        )

    def batches(self) -> Iterator[Batch]:
        """The prompts in batches of at most `batch_size`, of one length each where they cannot be padded."""
        first = 0
        while first < len(self.prompts):
            prompts = self.prompts[first : first + self.batch_size]
            if not self.padding:
                prompts = list(next(groupby(prompts, key=len))[1])
            yield Batch(prompts, first, self.n, self.max_new_tokens, self.seed, self.stop, self.eos)
            first += len(prompts)

    def settings(self) -> dict[str, Any]:
        """The request as plain values, for the record; a tensor β becomes a list."""
        return {
            "n": self.n,
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.filters.temperature,
            "top_k": self.filters.top_k,
            "top_p": self.filters.top_p,
            "min_p": self.filters.min_p,
            "seed": self.seed,
            "beta": 0.0 if self.beta is None else _plain(self.beta),
            "stop": self.stop,
            "eos": sorted(self.eos),
            "batch_size": self.batch_size,
        }


def _list_of_prompts(prompts: Any) -> list[Prompt]:
    wanted = "prompts must be a string, a list of chat messages, or a list of those"
    if isinstance(prompts, str) or _is_chat(prompts):
        prompts = [prompts]
    if not isinstance(prompts, Sequence) or isinstance(prompts, bytes):
        raise TypeError(f"{wanted}, got {reprlib.repr(prompts)}")
    if not prompts:
        raise ValueError(f"{wanted}, got an empty list; pass at least one prompt")
    for index, prompt in enumerate(prompts):
        if isinstance(prompt, Sequence) and not (prompt.strip() if isinstance(prompt, str) else prompt):
            raise ValueError(f"prompts[{index}] is empty, got {prompt!r}; pass at least one word or message")
        if not isinstance(prompt, str) and not _is_chat(prompt):
            raise TypeError(f"{wanted}, and prompts[{index}] is {reprlib.repr(prompt)}")
    return list(prompts)


def _is_chat(prompt: Any) -> bool:
    """A list of messages, each {"role": ..., "content": ...}."""
    return (
        isinstance(prompt, Sequence)
        and not isinstance(prompt, str | bytes)
        and len(prompt) > 0
        and all(isinstance(message, Mapping) and {"role", "content"} <= set(message) for message in prompt)
    )


def _check_length(index: int, length: int, max_new_tokens: int, context: int | None) -> None:
    if length == 0:
        raise ValueError(f"prompts[{index}] has no tokens; pass at least one word")
    if context is None or length + max_new_tokens <= context:
        return
    if length >= context:
        raise ValueError(f"prompts[{index}] has {length} tokens and the model's context is {context}; shorten it")
    raise ValueError(
        f"max_new_tokens must be at most {context - length} for prompts[{index}], which has {length} of the {context} "
        f"tokens of the model's context, got {max_new_tokens}"
    )


def _check_ids(index: int, ids: list[int], known: int) -> None:
    if max(ids) >= known:
        raise ValueError(
            f"tokenizer must be the model's own: it makes token {max(ids)} of prompts[{index}], and the model knows "
            f"{known} tokens; load both from one place"
        )


def _check_stop(stop: object) -> list[str]:
    strings = [stop] if isinstance(stop, str) else stop
    if not isinstance(strings, Sequence) or not all(isinstance(string, str) for string in strings):
        raise TypeError(f"stop must be a string or a list of strings, got {stop!r}")
    if any(string == "" for string in strings):
        raise ValueError(f"stop must hold no empty string, got {stop!r}; leave it out to stop at max_new_tokens only")
    return list(strings)


def _beta_per_sample(beta: Beta, prompts: int, n: int) -> Tensor | None:
    if not isinstance(beta, Tensor):
        number = check_beta(beta)
        return torch.full((prompts, n), number) if number > 0 else None
    if beta.shape not in {(n,), (prompts, n)}:
        raise ValueError(
            f"beta must be a number or a tensor of shape ({n},) or ({prompts}, {n}) = (prompts, n), "
            f"got {tuple(beta.shape)}"
        )
    if beta.dtype is torch.bool or beta.is_complex():
        raise TypeError(f"beta must be a tensor of real numbers, got {beta.dtype}; use beta.float()")
    if not bool(((beta >= 0) & (beta <= _MAX_BETA)).all()):
        raise ValueError(f"beta must hold finite numbers in [0, {_MAX_BETA:g}], got {beta}; 0 is plain sampling")
    return beta.float().expand(prompts, n).clone()


def _plain(beta: Tensor) -> float | list[list[float]]:
    first = beta.flatten()[0]
    return float(first) if bool((beta == first).all()) else beta.tolist()
