"""What Prometheus is told of ESamp, beside vLLM's own metrics.

The work is done in the engine's process and `/metrics` is answered by the server's: they meet in a folder that both
know by `PROMETHEUS_MULTIPROC_DIR`, which is prometheus_client's own way and which `esamp serve` sets. Without it, and
with the engine in the process of its caller, everything is in `prometheus_client.REGISTRY`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, final

from prometheus_client import Counter, Gauge

__all__ = ["Metrics", "count_refused"]

_LABELS = ("model_name", "engine")
_OUTCOMES = ("mixed", "warming_up", "not_finite", "prompt_chunk")
_REASONS = ("no_group", "no_lane", "no_tokens")


@cache
def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, multiprocess_mode="mostrecent")


@cache
def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels)


@final
class Metrics:
    """The metrics of one engine.

    Args:
        model: the name under which it is served.
        engine: its rank among data-parallel engines.
        capacity: groups that it has room for.
        about: what is on, as labels.
    """

    def __init__(self, model: str, engine: int, capacity: int, about: Mapping[str, str]) -> None:
        ours = {"model_name": model, "engine": str(engine)}
        described = _gauge("esamp_info", "What is on; always 1.", *_LABELS, *about)
        described.labels(**ours, **about).set(1)
        room = _gauge("esamp_groups_capacity", "Groups that have room at a time.", *_LABELS)
        room.labels(**ours).set(capacity)
        self._live: Any = _gauge("esamp_groups_live", "Groups with requests in the batch.", *_LABELS).labels(**ours)
        rows = _counter(
            "esamp_rows", "Rows of logits of requests with ESamp, by what became of them.", *_LABELS, "outcome"
        )
        unserved = _counter(
            "esamp_requests_without",
            "Times that a request came into the batch without ESamp, by why.",
            *_LABELS,
            "reason",
        )
        self._counters: dict[str, Any] = {name: rows.labels(**ours, outcome=name) for name in _OUTCOMES}
        self._counters |= {name: unserved.labels(**ours, reason=name) for name in _REASONS}
        for name, text in {
            "groups": "Groups that were given a distiller.",
            "evicted": "Groups that were forgotten, so that their slot could be used again.",
            "updates": "Updates of distillers: one for each group and step.",
            "loss": "Losses of distillers before their updates; by updates it is the mean loss.",
            "kl_nats": "KL of what was drawn from to the model's own candidates; by mixed rows it is the mean.",
            "resets": "Distillers that were reset because a number was not finite.",
        }.items():
            self._counters[name] = _counter(f"esamp_{name}", text, *_LABELS).labels(**ours)
        self._told: dict[str, int] = {}

    def live(self, groups: int) -> None:
        """So many groups have requests in the batch."""
        self._live.set(groups)

    def add(self, amounts: Mapping[str, float]) -> None:
        """More of some counters, by their names."""
        for name, amount in amounts.items():
            if amount:
                self._counters[name].inc(amount)

    def raise_to(self, totals: Mapping[str, int]) -> None:
        """The same for numbers that somebody else counts up; names that are no metrics are left out."""
        for name, total in totals.items():
            if name in self._counters:
                self.add({name: float(total - self._told.get(name, 0))})
                self._told[name] = total


def count_refused(why: str) -> None:
    """The server has refused a request with ESamp before an engine saw it."""
    _counter("esamp_requests_refused", "Requests that were answered with 503 for want of room.", "reason").labels(
        reason=why
    ).inc()
