"""Every registered distiller keeps every contract."""

from __future__ import annotations

from typing import Any

import pytest

from esamp.distillers import Distiller, distillers
from esamp.testing import DISTILLER_CONTRACTS, LEARNING_CONTRACT, Contract

# Sizes that fit the width 16 and keep the tests quick; a distiller that is not here is made with its defaults.
_SMALL: dict[str, dict[str, Any]] = {"mlp": {"width": 24}}

# Controls that keep their initial weights by design.
_FROZEN = {"frozen"}


@pytest.mark.parametrize("contract", [*DISTILLER_CONTRACTS, LEARNING_CONTRACT], ids=str)
@pytest.mark.parametrize("name", distillers.names())
def test_distiller_keeps(name: str, contract: Contract[Distiller]) -> None:
    if contract is LEARNING_CONTRACT and name in _FROZEN:
        pytest.skip(f"{name} is frozen by design")
    contract(lambda: distillers.resolve(name)(**_SMALL.get(name, {})))
