"""One checked request, run: a policy for each wave of each batch, the decode loop until nobody is left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from esamp.bank import Bank
from esamp.callbacks import Callback, GenerateStart
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loop import Batch, DecodeLoop
from esamp.generation.request import Request
from esamp.policy import DecodePolicy
from esamp.result import Diagnostics, GenerationResult, Sample

__all__ = ["Generation", "Method"]


class Method(ABC):
    """A way of sampling at work on one request: it makes the policies, and keeps what outlives them."""

    @abstractmethod
    def prepare(self, request: Request) -> None:
        """The request, once, before its first batch.

        Raises:
            TypeError, ValueError: it cannot be served.
        """

    @abstractmethod
    def policy(self, batch: Batch) -> DecodePolicy:
        """The policy of one wave of a batch. The waves of a batch follow each other, then comes the next batch."""

    def state(self) -> list[Bank]:
        """What a later call may go on from, a bank for each batch; nothing by default."""
        return []


@dataclass(frozen=True)
class Generation:
    """A request and everything that serves it.

    Attributes:
        engine: the model.
        request: what was asked for.
        method: the way of sampling, fresh.
        settings: every setting, for the record.
        callbacks: told of everything.
    """

    engine: HuggingFaceEngine
    request: Request
    method: Method
    settings: dict[str, Any]
    callbacks: Sequence[Callback]

    def run(self) -> GenerationResult:
        """Draw all samples.

        Raises:
            TypeError, ValueError: the method cannot serve the request.
        """
        try:
            return self._sample()
        except BaseException as error:
            for callback in self.callbacks:
                callback.on_exception(error)
            raise

    def _sample(self) -> GenerationResult:
        request, settings = self.request, self.settings
        start = GenerateStart(len(request.texts), settings["n"], sum(request.counts), request.max_new_tokens, settings)
        for callback in self.callbacks:
            callback.on_generate_start(start)
        samples: list[list[Sample]] = [[] for _ in request.texts]
        diagnostics: list[Diagnostics] = []
        # Learning needs autograd, which a caller's inference mode would forbid.
        with torch.inference_mode(False):
            self.method.prepare(request)
            for waves_of_batch in request.batches():
                parts = [self._decode(wave, samples) for wave in waves_of_batch]
                diagnostics.append(Diagnostics.follow(parts))
        for of_prompt in samples:
            of_prompt.sort(key=lambda sample: sample.index)
        result = GenerationResult(request.texts, samples, Diagnostics.join(diagnostics), settings, self.method.state())
        for callback in self.callbacks:
            callback.on_generate_end(result)
        return result

    def _decode(self, batch: Batch, samples: list[list[Sample]]) -> Diagnostics:
        policy = self.method.policy(batch)
        with DecodeLoop(self.engine, policy, batch) as loop:
            while loop.running:
                record = loop.step()
                for sample in record.finished:
                    samples[sample.prompt].append(sample)
                for callback in self.callbacks:
                    for sample in record.finished:
                        callback.on_sample_end(sample)
                    callback.on_step(record)
        return Diagnostics(loop.history.loss, policy.resets(), policy.exhausted())
