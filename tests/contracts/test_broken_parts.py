"""The contract suites catch what they are for: every broken part, each by the contract it breaks, and by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from esamp.testing import (
    DISTILLER_CONTRACTS,
    FUSION_CONTRACTS,
    ISOLATION_CONTRACTS,
    LEARNING_CONTRACT,
    LOSS_CONTRACT,
    SCHEDULER_CONTRACTS,
    TASK_CONTRACTS,
    Contract,
    ContractError,
    check_distiller,
    check_fusion,
    check_scheduler,
    check_task,
)
from tests.contracts import broken_distillers, broken_fusions, broken_schedulers, broken_tasks

_DISTILLER = (*DISTILLER_CONTRACTS, *ISOLATION_CONTRACTS, LOSS_CONTRACT, LEARNING_CONTRACT)
_ZOOS: list[tuple[Any, Callable[[Any], None], tuple[Contract[Any], ...]]] = [
    (broken_distillers, check_distiller, _DISTILLER),
    (broken_fusions, check_fusion, FUSION_CONTRACTS),
    (broken_schedulers, check_scheduler, SCHEDULER_CONTRACTS),
    (broken_tasks, check_task, TASK_CONTRACTS),
]
_ZOO_IDS = ["distillers", "fusions", "schedulers", "tasks"]
_BROKEN = [(part, words, check, contracts) for zoo, check, contracts in _ZOOS for part, words in zoo.BROKEN.items()]


def _breaks(contract: Contract[Any], part: Any) -> str:
    """The message with which a contract refuses a part; empty if it does not."""
    try:
        contract(part)
    except ContractError as error:
        return str(error)
    return ""


def _named(words: str, contracts: Iterable[Contract[Any]]) -> Contract[Any]:
    (found,) = (contract for contract in contracts if words in contract.sentence)
    return found


@pytest.mark.parametrize(("zoo", "check", "contracts"), _ZOOS, ids=_ZOO_IDS)
def test_the_sound_part_passes(zoo: Any, check: Callable[[Any], None], contracts: object) -> None:
    check(zoo.Sound)


@pytest.mark.parametrize(("part", "words", "check", "contracts"), _BROKEN, ids=[case[0].__name__ for case in _BROKEN])
def test_a_broken_part_is_caught_by_name(
    part: type, words: str, check: Callable[[Any], None], contracts: tuple[Contract[Any], ...]
) -> None:
    contract = _named(words, contracts)
    assert _breaks(contract, part).startswith(f"{part.__name__} breaks the contract '{contract.sentence}': ")
    with pytest.raises(ContractError, match=f"^{part.__name__} breaks the contract '"):
        check(part)


@pytest.mark.parametrize(("zoo", "check", "contracts"), _ZOOS, ids=_ZOO_IDS)
def test_no_contract_is_idle(zoo: Any, check: object, contracts: tuple[Contract[Any], ...]) -> None:
    idle = [contract.sentence for contract in contracts if not any(_breaks(contract, part) for part in zoo.BROKEN)]
    assert idle == []


def test_a_sound_memory_passes() -> None:
    check_fusion(broken_fusions.Remembers)


def test_an_exception_of_the_part_is_reported_with_its_contract() -> None:
    with pytest.raises(ContractError, match=r"Raises breaks .* it raised RuntimeError: no kernel for this device"):
        check_distiller(broken_distillers.Raises)


def test_a_frozen_distiller_may_be_excused_from_learning() -> None:
    check_distiller(broken_distillers.NeverLearns, learns=False)


def test_a_task_that_misjudges_a_right_sample_is_caught() -> None:
    check_task(broken_tasks.Sound, right=lambda problem: problem.reference[0])
    with pytest.raises(ContractError, match=r"Sound breaks .*: the right sample of 42 is not: 420"):
        check_task(broken_tasks.Sound, right=lambda problem: problem.reference[0] + "0")
