"""What tests of the library and of third-party parts need.

`check_distiller`, `check_fusion`, `check_scheduler` and `check_task` hold a part to every contract of its zoo. They are
plain functions: a part of your own is checked in one line of a test, or without any test framework. Tiny models are in
`esamp.testing.models`, hypothesis strategies in `esamp.testing.strategies`.

Examples:
    Parts of your own, held to every contract; one that is broken is told by its name and sentence:

    >>> from esamp.testing import *
    >>> from esamp.distillers import LinearDistiller
    >>> from esamp.fusion import FusionStep, NoveltyFusion
    >>> from esamp.schedulers import SynchronousScheduler
    >>> from esamp.tasks import ClosedLists
    >>> check_distiller(LinearDistiller)
    >>> check_scheduler(SynchronousScheduler)
    >>> check_task(ClosedLists, right=lambda problem: next(iter(problem.reference)))
    >>> class AlwaysOn(NoveltyFusion):
    ...     def __call__(self, step: FusionStep):
    ...         return step.reference - step.distilled
    >>> try:
    ...     check_fusion(AlwaysOn)
    ... except ContractError as error:
    ...     print(str(error).partition(":")[0])
    AlwaysOn breaks the contract 'β = 0 is the identity, row by row and to the last bit'

    For one test a contract, each of these is a list of them:

    >>> of_distillers = (*DISTILLER_CONTRACTS, *ISOLATION_CONTRACTS, LOSS_CONTRACT, LEARNING_CONTRACT)
    >>> for contract in of_distillers[-2:]:
    ...     contract(LinearDistiller)
    ...     print(contract)
    the loss is the mean squared error of the living rows before the step
    learning lowers the loss on a constant target
    >>> for contracts in (FUSION_CONTRACTS, SCHEDULER_CONTRACTS, TASK_CONTRACTS):
    ...     print(contracts[0])
    fused logits are float32 and have the shape of the reference
    work runs in the order of submission
    every problem has an id of its own, which stays the same
"""

from esamp.testing.contract import Contract, ContractError
from esamp.testing.distillers import DISTILLER_CONTRACTS, LEARNING_CONTRACT, LOSS_CONTRACT, check_distiller
from esamp.testing.fusions import FUSION_CONTRACTS, check_fusion
from esamp.testing.schedulers import SCHEDULER_CONTRACTS, check_scheduler
from esamp.testing.slots import ISOLATION_CONTRACTS
from esamp.testing.tasks import TASK_CONTRACTS, check_task

__all__ = [
    "DISTILLER_CONTRACTS",
    "FUSION_CONTRACTS",
    "ISOLATION_CONTRACTS",
    "LEARNING_CONTRACT",
    "LOSS_CONTRACT",
    "SCHEDULER_CONTRACTS",
    "TASK_CONTRACTS",
    "Contract",
    "ContractError",
    "check_distiller",
    "check_fusion",
    "check_scheduler",
    "check_task",
]
