"""GPQA-Diamond: multiple-choice questions of graduate level."""

from __future__ import annotations

import hashlib
import re
from typing import ClassVar, final

from typing_extensions import override

from esamp.tasks.answers import last_boxed
from esamp.tasks.base import Problem, Verdict, tasks
from esamp.tasks.dataset import DatasetTask, content_id
from esamp.tasks.hub import Hub
from esamp.tasks.rows import Row

__all__ = ["GPQADiamond", "chosen_letter"]

_LETTERS = "ABCD"
_BOXED = re.compile(r"(?:\\(?:text|mathrm|mathbf|textbf)\s*\{)?\s*\(?([A-D])\)?(?![A-Za-z])")
_SAID = re.compile(
    r"\b(?:answer|choice|option)\b[^.\n]{0,40}?(?:\bis\b|:|=)[\s*\"'(\[]*([A-D])(?![A-Za-z'])", re.IGNORECASE
)
_ALONE = re.compile(r"^[\s*(\[]*([A-D])(?:[)\].:*]|\s*$)", re.MULTILINE)


@tasks.register("gpqa_diamond")
@final
class GPQADiamond(DatasetTask):
    """198 questions with four choices (Rein et al. 2023); their order follows from the question and is always the same.

    Its authors ask that the questions are not shown in plain text: none ships here.
    Rows: `Question`, `Correct Answer`, `Incorrect Answer 1` to `3`, and `Record ID` where there is one, as in
    `gpqa_diamond.csv`.
    """

    family = "gpqa"
    hub: ClassVar[Hub] = Hub("Idavidrein/gpqa", config="gpqa_diamond", split="train")

    @override
    def problem(self, row: Row) -> Problem:
        question = row.text("Question").strip()
        own = row.values.get("Record ID")
        name = f"gpqa_diamond/{own}" if own else content_id("gpqa_diamond", question)
        right = row.text("Correct Answer").strip()
        choices = [right, *(row.text(f"Incorrect Answer {number}").strip() for number in (1, 2, 3))]
        choices = [choices[index] for index in _order(name)]
        fields = {"question": question, **dict(zip(_LETTERS, choices, strict=True))}
        return Problem(name, self.template.render(fields), _LETTERS[choices.index(right)])

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        letter = chosen_letter(self.cut(text))
        if letter is None:
            return Verdict(correct=False, detail="no letter in it")
        return Verdict(correct=letter == problem.reference, answer=letter)


def chosen_letter(text: str) -> str | None:
    r"""The letter from A to D that an answer ends with: boxed, after "the answer is", or alone at a line's beginning.

    Examples:
        >>> chosen_letter("A is wrong, so the answer is (C).")
        'C'
    """
    boxed = _BOXED.match((last_boxed(text) or "").strip())
    if boxed:
        return boxed[1]
    for pattern in (_SAID, _ALONE):
        found = pattern.findall(text)
        if found:
            return found[-1].upper()
    return None


def _order(name: str) -> list[int]:
    """Places of the four choices: by the hashes of the problem's id with their numbers."""
    return sorted(range(len(_LETTERS)), key=lambda index: hashlib.sha256(f"{name}/{index}".encode()).digest())
