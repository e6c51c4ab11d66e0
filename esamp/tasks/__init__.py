r"""Tasks: problems with verifiers, to measure coverage on.

Examples:
    Those that need nothing else, each with a sample of its first problem:

    >>> from esamp.tasks import *
    >>> for task, sample in (
    ...     (GSM8K(path="sample"), "He runs 3 * 3 * 60 meters, so the answer is 540."),
    ...     (SVAMP(path="sample"), "101 dollars."),
    ...     (ClosedLists(), " Blue.\nQ: Name"),
    ...     (Rhymes(), " dog"),
    ...     (KeywordSentences(words=1), "A breeze came up."),
    ...     (NoveltyBench(path="sample"), "Once upon a time"),
    ...     (BookContinuations(), "and so on"),
    ...     (PromptsTask(prompts=["Tell me a joke."]), "No."),
    ... ):
    ...     problem: Problem = task.problems()[0]
    ...     verdict: Verdict = task.verify(problem, sample)
    ...     print(f"{problem.id:<22} {verdict.correct!s:<5} {verdict.answer}")
    gsm8k/94ff3611e1       True  540
    svamp/chal-1           False 101
    closed_lists/a-color   True  blue
    rhymes/cat             False dog
    keywords/0-0-breeze    True  a breeze came up
    noveltybench/curated-0 None  None
    book/alice-0/a7653b0b75 None  None
    0                      None  None

    The others take their data set from the hub, or from a file in its format:

    >>> import json, tempfile
    >>> from pathlib import Path
    >>> scratch = tempfile.TemporaryDirectory()
    >>> def file(row: dict[str, str]) -> Path:
    ...     path = Path(scratch.name) / "rows.jsonl"
    ...     path.write_text(json.dumps(row))
    ...     return path
    >>> sum_of_two = file({"id": "1", "problem": "What is 2 + 3?", "answer": "5"})
    >>> for task in (AIME24(sum_of_two), AIME25(sum_of_two)):
    ...     problem = task.problems()[0]
    ...     print(problem.id, [task.verify(problem, text).correct for text in ("It is 5.", "It is 6.")])
    aime24/1 [True, False]
    aime25/1 [True, False]
    >>> math: MathTask = MATH500(file({"problem": "Divide x by 2.", "answer": "x/2", "unique_id": "1"}))
    >>> math.verify(math.problems()[0], r"That makes $\boxed{\frac{x}{2}}$.")
    Verdict(correct=True, answer='x/2', detail='')
    >>> wrong = {f"Incorrect Answer {number}": f"no {number}" for number in (1, 2, 3)}
    >>> choice = GPQADiamond(file({"Question": "Is it?", "Correct Answer": "yes", **wrong}))
    >>> choice.verify(choice.problems()[0], "The answer is (E).").detail
    'no letter in it'

    Programs are run only where that is agreed to:

    >>> functions: CodeTask = HumanEval(path="sample", start=28, limit=1, allow_code_execution=True)
    >>> functions.verify(functions.problems()[0], "    return x + y\n").correct
    True
    >>> programs = MBPP(path="sample", start=26, limit=1, allow_code_execution=True)
    >>> programs.verify(programs.problems()[0], "def parallelogram_area(b, h):\n    return b + h").correct
    False
    >>> tests = json.dumps([{"input": "2 3", "output": "5", "testtype": "stdin"}])
    >>> row = {"question_id": "1", "question_content": "Add them.", "public_test_cases": tests}
    >>> contest = LiveCodeBench(file(row), allow_code_execution=True)
    >>> contest.verify(contest.problems()[0], "print(sum(map(int, input().split())))").correct
    True
    >>> scratch.cleanup()
    >>> tasks.build("rhymes").max_new_tokens
    6
"""

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
