"""What Prometheus is told adds up to what has happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from prometheus_client import REGISTRY

from esamp.candidates import Candidates
from esamp.engines.vllm.meter import HostMail, Mail, Meter
from esamp.engines.vllm.metrics import Metrics
from esamp.engines.vllm.step import Standing, Step
from esamp.policy import Drawn, Fused
from esamp.rows import Rows

NAN = float("nan")


def step(alive: Sequence[bool], ready: Sequence[bool], norm: Sequence[float], kl: Sequence[float], **more: Any) -> Step:
    """Rows of slots 0, 1, 2, ..."""
    rows, one = torch.arange(len(alive)), torch.ones(len(alive), 1)
    standing = Standing(
        ready=torch.tensor(ready),
        losses=torch.tensor(more.get("losses", [NAN] * len(alive))),
        failures=torch.tensor(more.get("failures", 0)),
    )
    candidates = Candidates(rows.unsqueeze(-1), one, one > 0)
    return Step(
        places=[],
        index=rows,
        rows=Rows(rows, rows, rows, rows, one.squeeze(-1)),
        alive=torch.tensor(alive),
        standing=standing,
        shallow=one,
        deep=one,
        reference=one,
        fused=Fused(candidates, one, one, torch.tensor(norm), torch.tensor(kl)),
        drawn=Drawn(rows, one.squeeze(-1)),
    )


STEPS = [
    step([True, True, False], [False, False, True], [1.0, 1.0, 1.0], [0.0, 0.0, 9.0]),
    step([True, True], [True, True], [1.0, NAN], [0.25, 0.0], losses=[2.0, 3.0]),
    step([True], [True], [2.0], [0.5], losses=[1.0], failures=2),
]


def test_every_row_is_counted_once_by_what_became_of_it() -> None:
    meter = Meter(HostMail(), clock=lambda: 0.0)
    for each in STEPS:
        meter.observe(each)
    assert not any(meter.collect().values())
    meter.flush()
    got = meter.collect()
    assert got == {
        "mixed": 2,
        "warming_up": 2,
        "not_finite": 1,
        "prompt_chunk": 1,
        "kl_nats": 0.75,
        "updates": 3,
        "loss": 6.0,
        "resets": 2,
    }
    meter.observe(step([True], [True], [1.0], [0.0], failures=3))
    meter.flush()
    assert meter.collect()["resets"] == 1


def test_sums_are_sent_in_time_and_not_step_by_step() -> None:
    class Counted(Mail):
        sent = 0

        def send(self, numbers: torch.Tensor) -> None:
            self.sent += 1

        def arrived(self) -> list[list[float]]:
            return []

    mail, now = Counted(), [0.0]
    meter = Meter(mail, clock=lambda: now[0])
    for _ in range(320):
        meter.observe(STEPS[2])
    assert mail.sent == 10
    meter.observe(STEPS[2])
    assert mail.sent == 10
    now[0] = 1.0
    meter.observe(STEPS[2])
    assert mail.sent == 11


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"model_name": "of this test", "engine": "0", **labels})


def test_counters_bear_the_names_that_the_documentation_gives() -> None:
    metrics = Metrics("of this test", 0, 8, {"distiller": "mlp"})
    metrics.live(3)
    metrics.add({"mixed": 5.0, "kl_nats": 0.5, "updates": 2.0, "loss": 0.25, "resets": 1.0})
    metrics.raise_to({"no_group": 2, "groups": 3, "alone": 7})
    metrics.raise_to({"no_group": 3, "groups": 3})
    assert sample("esamp_info", distiller="mlp") == 1
    assert sample("esamp_groups_capacity") == 8
    assert sample("esamp_groups_live") == 3
    assert sample("esamp_rows_total", outcome="mixed") == 5
    assert sample("esamp_rows_total", outcome="warming_up") == 0
    assert sample("esamp_requests_without_total", reason="no_group") == 3
    assert sample("esamp_groups_total") == 3
    assert sample("esamp_updates_total") == 2
    assert sample("esamp_loss_total") == 0.25
    assert sample("esamp_kl_nats_total") == 0.5
    assert sample("esamp_resets_total") == 1


def test_a_second_engine_in_a_process_is_another_label() -> None:
    for engine in (0, 1):
        Metrics("of this test", engine, 4, {"distiller": "mlp"}).add({"mixed": 1.0})
    assert REGISTRY.get_sample_value(
        "esamp_rows_total", {"model_name": "of this test", "engine": "1", "outcome": "mixed"}
    ) == pytest.approx(1.0)
