"""Tells Prometheus what an engine's ESamp does; one rank of an engine does so for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, final

from typing_extensions import override

from esamp.engines.vllm.meter import DeviceMail, HostMail, Meter
from esamp.engines.vllm.roster import Roster
from esamp.engines.vllm.settings import Settings
from esamp.engines.vllm.step import Step

__all__ = ["PrometheusReporter", "Reporter", "Silent"]


class Reporter(ABC):
    """Is told of batches and steps."""

    @abstractmethod
    def batch(self) -> None:
        """Requests have come or gone."""

    @abstractmethod
    def step(self, step: Step) -> None:
        """A step is over."""

    @staticmethod
    def of(vllm_config: Any, settings: Settings, roster: Roster) -> Reporter:
        """That of a rank: all ranks that share a model do the same, and the first of them tells."""
        if vllm_config.parallel_config.rank != 0:
            return Silent()
        return PrometheusReporter(vllm_config, settings, roster)


@final
class Silent(Reporter):
    """Tells nobody."""

    @override
    def batch(self) -> None:
        pass

    @override
    def step(self, step: Step) -> None:
        pass


@final
class PrometheusReporter(Reporter):
    """Keeps the metrics of `esamp.engines.vllm.metrics` up to date, at most half a second of steps behind.

    Args:
        vllm_config: the engine's.
        settings: ESamp's.
        roster: who is in which group.
    """

    def __init__(self, vllm_config: Any, settings: Settings, roster: Roster) -> None:
        from esamp.engines.vllm.metrics import Metrics

        served = vllm_config.model_config.served_model_name
        about = {name: str(getattr(settings, name)) for name in ("distiller", "fusion", "scheduler", "warmup")}
        self._metrics = Metrics(
            served[0] if isinstance(served, list) else str(served),
            vllm_config.parallel_config.data_parallel_index,
            settings.max_groups,
            about | {"filtering": "pre-filter" if settings.prefilter else "post-filter"},
        )
        self._roster = roster
        self._meter: Meter | None = None

    @override
    def batch(self) -> None:
        self._metrics.live(self._roster.live)
        if self._meter is not None:
            self._meter.flush()
        self._tell()

    @override
    def step(self, step: Step) -> None:
        if self._meter is None:
            self._meter = Meter(DeviceMail() if step.alive.device.type == "cuda" else HostMail())
        self._meter.observe(step)
        self._metrics.live(self._roster.live)
        self._tell()

    def _tell(self) -> None:
        if self._meter is not None:
            self._metrics.add(self._meter.collect())
        self._metrics.raise_to(self._roster.counts)
