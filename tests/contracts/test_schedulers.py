"""Every registered scheduler keeps every contract."""

from __future__ import annotations

import pytest

from esamp.schedulers import OverlapScheduler, schedulers
from esamp.testing import SCHEDULER_CONTRACTS, Contract


@pytest.mark.parametrize("contract", SCHEDULER_CONTRACTS, ids=str)
@pytest.mark.parametrize("name", schedulers.names())
def test_scheduler_keeps(name: str, contract: Contract[OverlapScheduler]) -> None:
    contract(schedulers.resolve(name))
