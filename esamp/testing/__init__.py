"""What tests of the library and of third-party parts need.

`check_distiller`, `check_fusion`, `check_scheduler` and `check_task` hold a part to every contract of its zoo. They are
plain functions: a part of your own is checked in one line of a test, or without any test framework. Tiny models are in
`esamp.testing.models`, hypothesis strategies in `esamp.testing.strategies`.
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
