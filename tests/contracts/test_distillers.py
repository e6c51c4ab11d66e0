"""Every registered distiller keeps every contract."""

from __future__ import annotations

from typing import Any

import pytest

from esamp.distillers import (
    Distiller,
    HierarchicalDistiller,
    LowRankDistiller,
    MLPDistiller,
    RecursiveLeastSquaresDistiller,
    VocabularyDistiller,
    distillers,
)
from esamp.testing import (
    DISTILLER_CONTRACTS,
    ISOLATION_CONTRACTS,
    LEARNING_CONTRACT,
    LOSS_CONTRACT,
    Contract,
)


def _small_rls() -> RecursiveLeastSquaresDistiller:
    return RecursiveLeastSquaresDistiller(features=8)


# Sizes that fit the width 16 and keep the tests quick; a distiller that is not here is made with its defaults.
_SMALL: dict[str, Any] = {
    "choice_memory": lambda: distillers.resolve("choice_memory")(distiller=_small_rls()),
    "frozen": lambda: distillers.resolve("frozen")(LowRankDistiller(rank=4, start="random")),
    "hierarchical": lambda: HierarchicalDistiller(MLPDistiller(width=24), LowRankDistiller(rank=2, lr=1e-2)),
    "low_rank": lambda: LowRankDistiller(rank=4),
    "mlp": lambda: MLPDistiller(width=24),
    "noise": lambda: distillers.resolve("noise")(LowRankDistiller(rank=4)),
    "recursive_least_squares": _small_rls,
    "vocabulary": lambda: VocabularyDistiller(LowRankDistiller(rank=4, lr=1e-2)),
}

# Excused by design, each from what it says of itself.
_EXCUSED = {("early_exit", LEARNING_CONTRACT), ("frozen", LEARNING_CONTRACT), ("vocabulary", LOSS_CONTRACT)}
_EXCUSED |= {("hierarchical", contract) for contract in ISOLATION_CONTRACTS}

_ALL = [*DISTILLER_CONTRACTS, *ISOLATION_CONTRACTS, LOSS_CONTRACT, LEARNING_CONTRACT]
_PAIRS = [(name, contract) for name in distillers.names() for contract in _ALL if (name, contract) not in _EXCUSED]


@pytest.mark.parametrize(("name", "contract"), _PAIRS, ids=str)
def test_distiller_keeps(name: str, contract: Contract[Distiller]) -> None:
    contract(_SMALL.get(name, distillers.resolve(name)))


def test_only_the_hierarchy_shares_state() -> None:
    assert [name for name in distillers.names() if distillers.resolve(name)().shares_state] == ["hierarchical"]
