"""A short soak: `python benchmarks/soak.py` runs the long one."""

from __future__ import annotations

import pytest

from benchmarks.soak import LANES, SLOTS, Outcome, Soak
from esamp.distillers import Distiller, LowRankDistiller, RecursiveLeastSquaresDistiller


@pytest.mark.parametrize(
    ("distiller", "scheduler"),
    [(RecursiveLeastSquaresDistiller(features=8), "synchronous"), (LowRankDistiller(rank=2), "thread")],
    ids=["recursive least squares", "low rank, in a thread"],
)
def test_nothing_grows_drifts_or_stays_behind(distiller: Distiller, scheduler: str) -> None:
    soak = Soak(distiller, scheduler)
    outcome = soak.run(400)
    # Memory of the process is for the long run: in a test's process others allocate too.
    assert [fault for fault in outcome.faults() if "MiB" not in fault] == []
    assert outcome.free == SLOTS and sorted(soak.free) == list(range(SLOTS))
    assert soak.served > 5 * SLOTS
    assert soak.bank.resets.shape == (SLOTS,) and soak.explorer.lanes == LANES


def test_a_leak_a_drift_and_a_lost_slot_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    soak = Soak(RecursiveLeastSquaresDistiller(features=4))
    kept: list[list[int]] = []
    step = soak._step

    def leaky() -> None:
        step()
        kept.extend([n] for n in range(10))
        soak.bank.distiller.get_buffer("_state")[0, 0, 0] *= 1.001

    monkeypatch.setattr(soak, "_step", leaky)
    outcome: Outcome = soak.run(100)
    outcome.free -= 1
    faults = list(outcome.faults())
    assert any("more Python objects" in fault for fault in faults)
    assert any("away from float64" in fault for fault in faults)
    assert any("1 of 8 slots were not given back" in fault for fault in faults)
