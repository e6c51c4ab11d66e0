"""Tasks: problems with verifiers, to measure coverage on."""

from esamp.tasks.aime import AIME24, AIME25
from esamp.tasks.base import Problem, Task, Verdict, tasks
from esamp.tasks.book import BookContinuations
from esamp.tasks.closed_lists import ClosedLists
from esamp.tasks.code import CodeTask
from esamp.tasks.dataset import DatasetTask, TemplateTask
from esamp.tasks.gpqa import GPQADiamond
from esamp.tasks.gsm8k import GSM8K
from esamp.tasks.humaneval import HumanEval
from esamp.tasks.keywords import KeywordSentences
from esamp.tasks.livecodebench import LiveCodeBench
from esamp.tasks.math500 import MATH500
from esamp.tasks.mathematics import MathTask
from esamp.tasks.mbpp import MBPP
from esamp.tasks.noveltybench import NoveltyBench
from esamp.tasks.prompts import PromptsTask
from esamp.tasks.rhymes import Rhymes
from esamp.tasks.svamp import SVAMP

__all__ = [
    "AIME24",
    "AIME25",
    "GSM8K",
    "MATH500",
    "MBPP",
    "SVAMP",
    "BookContinuations",
    "ClosedLists",
    "CodeTask",
    "DatasetTask",
    "GPQADiamond",
    "HumanEval",
    "KeywordSentences",
    "LiveCodeBench",
    "MathTask",
    "NoveltyBench",
    "Problem",
    "PromptsTask",
    "Rhymes",
    "Task",
    "TemplateTask",
    "Verdict",
    "tasks",
]
