"""The control of every claim: temperature and filters, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from typing_extensions import override

from esamp.baselines.base import PolicySampler
from esamp.candidates import Filters
from esamp.engines.huggingface.loop import Batch
from esamp.generation.request import Request
from esamp.generation.run import Method
from esamp.policy import DecodePolicy, PlainPolicy
from esamp.samplers import samplers

__all__ = ["PlainSampler"]


@final
@samplers.register("plain")
class PlainSampler(PolicySampler):
    """softmax(z / T) over what the filters keep: `ESampSampler` with β = 0, token by token.

    With `draw="arithmetic"` it is arithmetic sampling; with a temperature of `esamp.schedules.Fire` it is FIRE.
    """

    @override
    def method(self) -> Method:
        return _Plain()

    @override
    def stages(self, filters: Filters) -> Sequence[str]:
        return [f"candidates: {filters.describe()}", f"draw: {type(self.draw).__name__}"]


@final
class _Plain(Method):
    def __init__(self) -> None:
        self._filters = Filters()

    @override
    def prepare(self, request: Request) -> None:
        self._filters = request.filters

    @override
    def policy(self, batch: Batch) -> DecodePolicy:
        return PlainPolicy(self._filters, batch.groups)
