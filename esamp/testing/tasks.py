"""The contracts of tasks."""

from __future__ import annotations

import copy
from collections.abc import Callable

from esamp.generation.prompts import list_of_prompts
from esamp.tasks import Problem, Task, Verdict
from esamp.testing.contract import Contract, check_all, contract, require

__all__ = ["TASK_CONTRACTS", "check_task", "right_contract"]

Make = Callable[[], Task]

# Few: a sample may cost a process.
_PROBLEMS = 1
_BLANK = ("", " \n\t")
_TEXTS = (
    *_BLANK,
    "42",
    "The answer is 42.",
    r"So it is \boxed{\frac{1}{0}}.",
    r"\boxed{{",
    "#### ",
    "answer is",
    "9" * 5000,
    "1/0",
    "(" * 500,
    "}" * 500,
    "```python\nwhile",
    "def f(:\n\traise",
    "\x00\x1b[0m",
    "\ud800 is half a character",
    "ﬁnd 😀 ٣",
)


def _judged(task: Task) -> list[tuple[Problem, str, Verdict]]:
    """The verdicts on all sorts of samples of the first problems."""
    return [(problem, text, task.verify(problem, text)) for problem in task.problems()[:_PROBLEMS] for text in _TEXTS]


@contract("every problem has an id of its own, which stays the same")
def _ids(make: Make) -> None:
    first, second = [problem.id for problem in make().problems()], [problem.id for problem in make().problems()]
    require(bool(first), "there is no problem")
    require(all(name.strip() for name in first), "an id is blank")
    twice = sorted({name for name in first if first.count(name) > 1})
    require(not twice, f"several problems have the id {', '.join(twice[:3])}")
    require(first == second, "a second task of the same arguments has other ids, or another order")


@contract("every prompt is one that a sampler takes, and stays the same")
def _prompts(make: Make) -> None:
    first, second = make().problems(), make().problems()
    for problem in first:
        try:
            count = len(list_of_prompts([problem.prompt]))
        except (TypeError, ValueError) as error:
            require(False, f"the prompt of {problem.id} is none: {error}")
        else:
            require(count == 1, f"the prompt of {problem.id} is several")
    require(
        [p.prompt for p in first] == [p.prompt for p in second], "a second task of the same arguments asks otherwise"
    )


@contract("no sample makes verify raise, whatever it holds")
def _never_raises(make: Make) -> None:
    task = make()
    for problem in task.problems()[:_PROBLEMS]:
        for text in _TEXTS:
            try:
                task.verify(problem, text)
            except Exception as error:
                require(False, f"on the sample {text[:40]!r} it raised {type(error).__name__}: {error}")


@contract("a verdict follows from the problem and the sample alone")
def _pure(make: Make) -> None:
    task = make()
    problems = task.problems()[:_PROBLEMS]
    forwards = [verdict for _, _, verdict in _judged(task)]
    backwards = [task.verify(problem, text) for problem in reversed(problems) for text in reversed(_TEXTS)]
    require(forwards == backwards[::-1], "the same samples, judged again in another order, have other verdicts")


@contract("verify leaves the problem as it is")
def _unchanged(make: Make) -> None:
    task = make()
    problems = task.problems()[:_PROBLEMS]
    before = copy.deepcopy(problems)
    for problem in problems:
        for text in _TEXTS[:4]:
            task.verify(problem, text)
    require(problems == before, "a problem was changed")


@contract("an answer is a text that is not blank, and a right sample has one")
def _answers(make: Make) -> None:
    for problem, text, verdict in _judged(make()):
        where = f"the sample {text[:40]!r} of {problem.id}"
        require(verdict.answer is None or bool(verdict.answer.strip()), f"{where} has a blank answer")
        require(not verdict.correct or verdict.answer is not None, f"{where} is right and has no answer")


@contract("a blank sample is not right")
def _blank(make: Make) -> None:
    task = make()
    for problem in task.problems()[:_PROBLEMS]:
        for text in _BLANK:
            require(not task.verify(problem, text).correct, f"the sample {text!r} of {problem.id} is right")


TASK_CONTRACTS: tuple[Contract[Task], ...] = (_ids, _prompts, _never_raises, _pure, _unchanged, _answers, _blank)
"""What every task keeps, for parametrising a test over it."""


def right_contract(right: Callable[[Problem], str]) -> Contract[Task]:
    """The contract that samples which are known to be right are judged so.

    Args:
        right: gives such a sample of a problem.
    """

    @contract("a sample that is right is judged so")
    def _right(make: Make) -> None:
        task = make()
        for problem in task.problems():
            verdict = task.verify(problem, right(problem))
            require(
                verdict.correct is True, f"the right sample of {problem.id} is not: {verdict.detail or verdict.answer}"
            )

    return _right


def check_task(make: Make, right: Callable[[Problem], str] | None = None) -> None:
    """Hold a task to every contract.

    Args:
        make: gives a fresh task; the class itself, where its constructor needs no arguments.
        right: gives a sample of a problem that is right; None: the task knows no right or wrong.

    Raises:
        ContractError: a contract is broken; the message names it and the class.

    Examples:
        >>> from esamp.tasks import ClosedLists
        >>> check_task(ClosedLists, right=lambda problem: next(iter(problem.reference)))
    """
    check_all([*TASK_CONTRACTS, *([] if right is None else [right_contract(right)])], make)
