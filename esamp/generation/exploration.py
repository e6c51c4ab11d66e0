"""Exploratory Sampling at work on one request: a bank for each batch, an explorer for each wave."""

from __future__ import annotations

import copy
import reprlib
from collections.abc import Sequence
from functools import partial
from typing import final

from typing_extensions import override

from esamp.bank import Bank
from esamp.distillers import Distiller
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loop import Batch
from esamp.explorer import Explorer
from esamp.fusion import NoveltyFusion
from esamp.generation.request import Request
from esamp.generation.run import Method
from esamp.policy import DecodePolicy, PlainPolicy
from esamp.schedulers import OverlapScheduler

__all__ = ["Exploration"]


@final
class Exploration(Method):
    """ESamp's parts, and the banks that they make.

    Args:
        engine: the model.
        distiller: the recipe of the banks.
        fusion: the recipe of the banks.
        scheduler: when the distillers work.
        warmup: updates of a group's distiller before its fusion starts.
        prefilter: fuse over the whole vocabulary, then filter.
        given: banks to go on from; None: new ones.
    """

    def __init__(
        self,
        engine: HuggingFaceEngine,
        distiller: Distiller,
        fusion: NoveltyFusion,
        scheduler: OverlapScheduler,
        *,
        warmup: int,
        prefilter: bool,
        given: Sequence[Bank] | None,
    ) -> None:
        self.engine = engine
        self.distiller = distiller
        self.fusion = fusion
        self.scheduler = scheduler
        self.warmup = warmup
        self.prefilter = prefilter
        self.given = given
        self._request: Request | None = None
        self._banks: dict[int, Bank] = {}

    @override
    def prepare(self, request: Request) -> None:
        self._request = request
        firsts = [waves[0].first_prompt for waves in request.batches()]
        self._banks = dict(zip(firsts, self._make(request), strict=True))

    @override
    def policy(self, batch: Batch) -> DecodePolicy:
        request, bank = self._checked(), self._banks[batch.first_prompt]
        if request.plain:
            return PlainPolicy(request.filters, bank.groups)
        return Explorer(
            bank,
            int(batch.group.flatten().bincount().max()),
            self.scheduler,
            request.filters,
            schedule=request.schedule,
            warmup=self.warmup,
            prefilter=self.prefilter,
        )

    @override
    def state(self) -> list[Bank]:
        return list(self._banks.values())

    def _checked(self) -> Request:
        if self._request is None:
            raise RuntimeError("Exploration.policy was called before prepare, which gives it the request")
        return self._request

    def _make(self, request: Request) -> list[Bank]:
        """A bank for each batch: new, or a copy of the one that was given."""
        state, batches = self.given, [waves[0] for waves in request.batches()]
        groups = [batch.groups for batch in batches]
        if state is None:
            engine, domains = self.engine, map(request.domains_of, batches)
            make = partial(Bank, self.distiller, self.fusion, engine.llm, texts=engine.token_texts)
            return [make(count, domains=of_groups) for count, of_groups in zip(groups, domains, strict=True)]
        if not isinstance(state, Sequence) or not all(isinstance(bank, Bank) for bank in state):
            raise TypeError(f"state must be the `state` of an earlier result, got {reprlib.repr(state)}; or pass None")
        given = [bank.groups for bank in state]
        if given != groups or any(type(bank.distiller) is not type(self.distiller) for bank in state):
            raise ValueError(
                f"state must hold banks of {type(self.distiller).__name__} for {groups} groups, got banks of "
                f"{[type(bank.distiller).__name__ for bank in state]} for {given}; pass the result of a call with the "
                "same prompts, sharing and batch_size, or None"
            )
        sizes, size = {tuple(bank.head.weight.shape) for bank in state}, tuple(self.engine.head.weight.shape)
        if sizes != {size}:
            raise ValueError(
                f"state must be of a model with a head of {list(size)} (vocabulary, width), got one of "
                f"{[list(shape) for shape in sizes]}; pass the result of a call with the same model, or None"
            )
        return [copy.deepcopy(bank) for bank in state]
