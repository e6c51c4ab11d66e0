"""Tasks whose answer is one number, compared exactly and without a computer algebra system."""

from __future__ import annotations

from typing_extensions import override

from esamp.tasks.answers import number_of, numeric_answer
from esamp.tasks.base import Problem, Verdict
from esamp.tasks.dataset import DatasetTask
from esamp.tasks.rows import Row

__all__ = ["ArithmeticTask"]


class ArithmeticTask(DatasetTask):
    """A data set of problems whose answer is a number. `Problem.reference` is its exact text: "540", "1/2"."""

    def reference(self, row: Row, key: str, answer: str) -> str:
        """The number in a row's answer, in its normal form.

        Raises:
            ValueError: there is none.
        """
        number = number_of(answer)
        if number is None:
            raise row.error(f"{key!r} must hold a number, got {answer.strip()!r}")
        return str(number)

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        found = numeric_answer(self.cut(text))
        if found is None:
            return Verdict(correct=False, detail="no number in it")
        return Verdict(correct=str(found) == problem.reference, answer=str(found))
