"""Every registered task keeps every contract."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esamp.tasks import Task, tasks
from esamp.testing import TASK_CONTRACTS, Contract
from esamp.testing.tasks import right_contract
from tests.tasks import zoo


@pytest.mark.parametrize("contract", TASK_CONTRACTS, ids=str)
@pytest.mark.parametrize("name", tasks.names())
def test_task_keeps(name: str, contract: Contract[Task]) -> None:
    contract(lambda: zoo.make(name))


@pytest.mark.parametrize("name", zoo.RIGHT)
def test_right_samples_are_judged_so(name: str) -> None:
    right_contract(zoo.RIGHT[name])(lambda: zoo.make(name))


@pytest.mark.parametrize("name", zoo.RIGHT)
def test_the_right_sample_of_another_problem_is_wrong(name: str) -> None:
    task = zoo.make(name)
    first, *others = task.problems()
    other = next(each for each in others if each.reference != first.reference)
    verdict = task.verify(first, zoo.RIGHT[name](other))
    assert verdict.correct is False
    assert verdict.answer


# Words that answers are looked for by, between any others.
_PIECES = st.sampled_from(
    ["\\boxed{", "}", "{", "####", "the answer is", "1/0", ",", "-", "```python\n", "\ndef f(", "(A)"]
)


@pytest.mark.parametrize("name", tasks.names())
def test_no_text_whatever_makes_it_raise(name: str) -> None:
    task = zoo.make(name)
    problem = task.problems()[0]

    # A program costs a process.
    @settings(max_examples=8 if "allow_code_execution" in zoo.ARGUMENTS[name] else 60)
    @given(st.lists(_PIECES | st.text(max_size=20), max_size=8))
    def check(pieces: list[str]) -> None:
        verdict = task.verify(problem, " ".join(pieces))
        assert verdict.answer is None or verdict.answer.strip()

    check()
