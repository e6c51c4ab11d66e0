"""The arguments of one `generate` call, checked before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from esamp.candidates import MIN_TEMPERATURE, Filters
from esamp.checks import check_flag, check_integer
from esamp.draws import TokenDraw, draws
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loop import Batch
from esamp.engines.huggingface.supervisor import Supervisor
from esamp.engines.text import Prompt
from esamp.generation.prompts import check_encoded, encode, list_of_prompts, render
from esamp.noise import MAX_SEED
from esamp.schedules import Schedule, check_schedule, name_value
from esamp.sharing import Sharing
from esamp.strength import MAX_BETA, Beta, beta_per_sample, name_betas

__all__ = ["Request", "check_counts"]


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        texts: rendered prompts.
        prompts: their token ids.
        counts: samples of each.
        max_new_tokens: longest sample.
        filters: temperature and filters.
        seed: of the draws.
        draw: how tokens are drawn.
        beta: β of each sample, float32 [prompts, n]; n is the largest of `counts`.
        schedule: β as a function of the step, instead; None: `beta` alone counts.
        plain: β is the number 0: plain sampling without a distiller.
        groups: group of each prompt.
        per_sample: only samples of equal index share a distiller.
        domains: domain of each prompt; None: the distillers have no such level.
        waves: number of successive waves.
        stop: strings that end a sample.
        eos: token ids that end a sample.
        learn_prompt: the distillers learn from the prompt before the first token.
        batch_size: prompts decoded together.
        padding: prompts of different lengths may share a batch.
        supervisor: what a caller of the decode loop adds to it.
    """

    texts: list[str]
    prompts: list[list[int]]
    counts: list[int]
    max_new_tokens: int
    filters: Filters
    seed: int
    draw: TokenDraw
    beta: Float[Tensor, "prompts n"]
    schedule: Schedule | None
    plain: bool
    groups: list[int]
    per_sample: bool
    domains: list[int] | None
    waves: int
    stop: list[str]
    eos: frozenset[int]
    learn_prompt: bool
    batch_size: int
    padding: bool
    supervisor: Supervisor | None = None

    @classmethod
    def check(
        cls,
        engine: HuggingFaceEngine,
        prompts: Prompt | Sequence[Prompt],
        *,
        n: int | Sequence[int],
        max_new_tokens: int,
        filters: Filters,
        seed: int,
        draw: TokenDraw,
        beta: Beta,
        sharing: Sharing,
        domains: Sharing | None,
        waves: int,
        learn_prompt: bool,
        stop: str | Sequence[str],
        ignore_eos: bool,
        chat: bool,
        batch_size: int | None,
        supervisor: Supervisor | None = None,
    ) -> Request:
        """A request whose every argument is right.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: an argument is out of range, empty or contradictory, or a prompt does not fit the context.
        """
        listed = list_of_prompts(prompts)
        counts = check_counts(n, len(listed))
        check_integer("max_new_tokens", max_new_tokens, low=1)
        check_integer("waves", waves, low=1, high=max(counts), hint="a wave has at least one sample")
        check_integer("seed", seed, low=0, high=MAX_SEED)
        check_flag("chat", chat)
        if batch_size is None:
            batch_size = len(listed)
        check_integer("batch_size", batch_size, low=1, hint="pass None to decode all prompts together")
        if learn_prompt and sharing.per_sample:
            raise ValueError(
                "learn_prompt must be False where samples have distillers of their own, got True with "
                f"sharing={type(sharing).__name__}; they would learn from a part of the prompt each"
            )
        texts = render(listed, engine, chat=chat)
        encoded = encode(listed, texts, engine, chat=chat)
        check_encoded(encoded, max_new_tokens, engine)
        steps = torch.arange(max_new_tokens, device=engine.device)
        if callable(filters.temperature):
            check_schedule("temperature", filters.temperature, steps, low=MIN_TEMPERATURE, high=math.inf)
        if callable(beta):
            check_schedule("beta", beta, steps, low=0.0, high=MAX_BETA)
        return cls(
            texts,
            encoded,
            counts,
            max_new_tokens,
            filters,
            seed,
            draw,
            beta_per_sample(beta, len(texts), max(counts)),
            beta if callable(beta) else None,
            isinstance(beta, int | float) and beta == 0,
            sharing.groups(texts),
            sharing.per_sample,
            None if domains is None else domains.groups(texts),
            waves,
            _check_stop(stop),
            frozenset() if check_flag("ignore_eos", ignore_eos) else engine.eos_ids,
            learn_prompt,
            batch_size,
            padding=batch_size == 1 or len({len(ids) for ids in encoded}) == 1 or engine.pads_left,
            supervisor=supervisor,
        )

    def batches(self) -> Iterator[list[Batch]]:
        """The prompts in batches of at most `batch_size`, of one length each where they cannot be padded.

        Of each batch, its waves. Groups are numbered from 0 within a batch, which has a bank of its own.
        """
        first = 0
        while first < len(self.prompts):
            prompts = self.prompts[first : first + self.batch_size]
            if not self.padding:
                prompts = list(next(groupby(prompts, key=len))[1])
            yield [self._wave(first, prompts, wave) for wave in range(self.waves)]
            first += len(prompts)

    def _wave(self, first: int, prompts: list[list[int]], wave: int) -> Batch:
        chosen = slice(first, first + len(prompts))
        total = torch.tensor(self.counts[chosen])
        # The first waves take one more of what cannot be divided.
        each, rest = total // self.waves, total % self.waves
        counts, start = each + (wave < rest), wave * each + rest.clamp(max=wave)
        place = start.unsqueeze(1) + torch.arange(int(counts.max()))
        group = self._groups(chosen)
        place = place.clamp(max=self.beta.shape[1] - 1)
        return Batch(
            prompts=prompts,
            first_prompt=first,
            group=group.gather(1, place),
            groups=int(group.max()) + 1,
            beta=self.beta[chosen].gather(1, place),
            counts=counts,
            first_sample=start,
            total=total,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
            draw=self.draw,
            stop=self.stop,
            eos=self.eos,
            learn_prompt=self.learn_prompt and wave == 0 and not self.plain,
            supervisor=self.supervisor,
        )

    def domains_of(self, batch: Batch) -> Int[Tensor, " groups"] | None:
        """The domain of each group of a batch, numbered from 0: that of the group's first prompt."""
        if self.domains is None:
            return None
        chosen = slice(batch.first_prompt, batch.first_prompt + len(batch.prompts))
        group = self._groups(chosen)
        domain = torch.tensor(self.domains[chosen]).unsqueeze(1).expand_as(group).flatten()
        first = [group.flatten().tolist().index(each) for each in range(batch.groups)]
        return domain[first].unique(return_inverse=True)[1]

    def _groups(self, chosen: slice) -> Int[Tensor, "prompts n"]:
        """The group of each sample of the chosen prompts, numbered from 0."""
        n = self.beta.shape[1]
        group = torch.tensor(self.groups[chosen]).unique(return_inverse=True)[1].unsqueeze(1).expand(-1, n)
        return group * n + torch.arange(n) if self.per_sample else group

    def settings(self) -> dict[str, Any]:
        """The request as plain values, for the record; a tensor β becomes a list."""
        return {
            "n": self.counts[0] if len(set(self.counts)) == 1 else self.counts,
            "max_new_tokens": self.max_new_tokens,
            **self.filters.settings(),
            "seed": self.seed,
            "draw": draws.describe(self.draw),
            "beta": name_betas(self.beta) if self.schedule is None else name_value(self.schedule),
            "waves": self.waves,
            "groups": self.groups,
            "domains": self.domains,
            "learn_prompt": self.learn_prompt,
            "stop": self.stop,
            "eos": sorted(self.eos),
            "batch_size": self.batch_size,
        }


def check_counts(n: object, prompts: int) -> list[int]:
    """Samples of each prompt.

    Raises:
        TypeError: `n` is neither an integer nor a list of them.
        ValueError: one is below 1, or there is not one for each prompt.
    """
    if isinstance(n, Sequence) and not isinstance(n, str):
        counts = [check_integer(f"n[{index}]", count, low=1) for index, count in enumerate(n)]
        if len(counts) != prompts:
            raise ValueError(f"n must be a number, or one for each of the {prompts} prompts, got {len(counts)} of them")
        return counts
    return [check_integer("n", n, low=1)] * prompts


def _check_stop(stop: object) -> list[str]:
    strings = [stop] if isinstance(stop, str) else stop
    if not isinstance(strings, Sequence) or not all(isinstance(string, str) for string in strings):
        raise TypeError(f"stop must be a string or a list of strings, got {stop!r}")
    if any(string == "" for string in strings):
        raise ValueError(f"stop must hold no empty string, got {stop!r}; leave it out to stop at max_new_tokens only")
    return list(strings)
