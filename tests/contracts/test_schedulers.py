"""Every registered scheduler keeps every contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from esamp.schedulers import CudaStreamScheduler, OverlapScheduler, schedulers
from esamp.testing import SCHEDULER_CONTRACTS, Contract, check_scheduler
from esamp.testing.streams import SimulatedMachine


def _simulated() -> OverlapScheduler:
    return CudaStreamScheduler(backend=SimulatedMachine())


def _make(name: str) -> Callable[[], OverlapScheduler]:
    """Where there is no GPU, the simulated one."""
    return _simulated if name == "cuda_stream" and not torch.cuda.is_available() else schedulers.resolve(name)


@pytest.mark.parametrize("contract", SCHEDULER_CONTRACTS, ids=str)
@pytest.mark.parametrize("name", schedulers.names())
def test_scheduler_keeps(name: str, contract: Contract[OverlapScheduler]) -> None:
    contract(_make(name))


def test_a_simulated_device_will_do_for_the_whole_suite() -> None:
    check_scheduler(_simulated)
