"""Every registered fusion keeps every contract."""

from __future__ import annotations

import pytest

from esamp.fusion import NoveltyFusion, fusions
from esamp.testing import FUSION_CONTRACTS, Contract


@pytest.mark.parametrize("contract", FUSION_CONTRACTS, ids=str)
@pytest.mark.parametrize("name", fusions.names())
def test_fusion_keeps(name: str, contract: Contract[NoveltyFusion]) -> None:
    contract(fusions.resolve(name))
