"""One checked request, run: a bank for each batch, a policy for each wave, the decode loop until nobody is left."""

from __future__ import annotations

import copy
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from esamp.bank import Bank
from esamp.callbacks import Callback, GenerateStart
from esamp.distillers import Distiller
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loop import Batch, DecodeLoop
from esamp.explorer import Explorer
from esamp.fusion import NoveltyFusion
from esamp.policy import DecodePolicy, PlainPolicy
from esamp.request import Request
from esamp.result import Diagnostics, GenerationResult, Sample
from esamp.schedulers import OverlapScheduler

__all__ = ["Generation"]


@dataclass(frozen=True)
class Generation:
    """A request and everything that serves it.

    Attributes:
        engine: the model.
        request: what was asked for.
        distiller: the recipe of the banks.
        fusion: the recipe of the banks.
        scheduler: when the distillers work.
        warmup: updates of a group's distiller before its fusion starts.
        prefilter: fuse over the whole vocabulary, then filter.
        settings: every setting, for the record.
        callbacks: told of everything.
    """

    engine: HuggingFaceEngine
    request: Request
    distiller: Distiller
    fusion: NoveltyFusion
    scheduler: OverlapScheduler
    warmup: int
    prefilter: bool
    settings: dict[str, Any]
    callbacks: Sequence[Callback]

    def run(self, state: Sequence[Bank] | None) -> GenerationResult:
        """Draw all samples; `state` are banks to go on from.

        Raises:
            TypeError: `state` is of the wrong type.
            ValueError: `state` does not fit the request, or a part does not fit the model.
        """
        try:
            return self._sample(state)
        except BaseException as error:
            for callback in self.callbacks:
                callback.on_exception(error)
            raise

    def _sample(self, state: Sequence[Bank] | None) -> GenerationResult:
        request, settings = self.request, self.settings
        start = GenerateStart(len(request.texts), settings["n"], sum(request.counts), request.max_new_tokens, settings)
        for callback in self.callbacks:
            callback.on_generate_start(start)
        samples: list[list[Sample]] = [[] for _ in request.texts]
        diagnostics: list[Diagnostics] = []
        # Learning needs autograd, which a caller's inference mode would forbid.
        with torch.inference_mode(False):
            banks = self._banks(state)
            for waves_of_batch, bank in zip(request.batches(), banks, strict=True):
                parts = [self._decode(wave, bank, samples) for wave in waves_of_batch]
                diagnostics.append(Diagnostics.follow(parts))
        for of_prompt in samples:
            of_prompt.sort(key=lambda sample: sample.index)
        result = GenerationResult(request.texts, samples, Diagnostics.join(diagnostics), settings, banks)
        for callback in self.callbacks:
            callback.on_generate_end(result)
        return result

    def _decode(self, batch: Batch, bank: Bank, samples: list[list[Sample]]) -> Diagnostics:
        policy = self._policy(batch, bank)
        with DecodeLoop(self.engine, policy, batch) as loop:
            while loop.running:
                record = loop.step()
                for sample in record.finished:
                    samples[sample.prompt].append(sample)
                for callback in self.callbacks:
                    for sample in record.finished:
                        callback.on_sample_end(sample)
                    callback.on_step(record)
        return Diagnostics(loop.history.loss, policy.resets())

    def _banks(self, state: Sequence[Bank] | None) -> list[Bank]:
        """A bank for each batch: new, or a copy of the one that was given."""
        batches = [waves[0] for waves in self.request.batches()]
        groups = [batch.groups for batch in batches]
        if state is None:
            engine, domains = self.engine, map(self.request.domains_of, batches)
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
        return [copy.deepcopy(bank) for bank in state]

    def _policy(self, batch: Batch, bank: Bank) -> DecodePolicy:
        request = self.request
        if request.plain:
            return PlainPolicy(request.filters, bank.groups)
        members = int(batch.group.bincount().max())
        return Explorer(
            bank,
            members * batch.n,
            self.scheduler,
            request.filters,
            schedule=request.schedule,
            warmup=self.warmup,
            prefilter=self.prefilter,
        )
