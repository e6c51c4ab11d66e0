"""Tasks: problems with verifiers, to measure coverage on."""

from esamp.tasks.base import Problem, Task, Verdict, tasks
from esamp.tasks.closed_lists import ClosedLists
from esamp.tasks.dataset import DatasetTask, TemplateTask
from esamp.tasks.gsm8k import GSM8K
from esamp.tasks.noveltybench import NoveltyBench
from esamp.tasks.svamp import SVAMP

__all__ = [
    "GSM8K",
    "SVAMP",
    "ClosedLists",
    "DatasetTask",
    "NoveltyBench",
    "Problem",
    "Task",
    "TemplateTask",
    "Verdict",
    "tasks",
]
