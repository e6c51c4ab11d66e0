"""GSM8K: word problems of grade-school mathematics."""

from __future__ import annotations

from typing import ClassVar, final

from typing_extensions import override

from esamp.tasks.arithmetic import ArithmeticTask
from esamp.tasks.base import Problem, tasks
from esamp.tasks.dataset import content_id
from esamp.tasks.hub import Hub
from esamp.tasks.rows import Row

__all__ = ["GSM8K"]


@tasks.register("gsm8k")
@final
class GSM8K(ArithmeticTask):
    """Grade-school word problems (Cobbe et al. 2021); the answer is the number after `####`.

    Rows: `question`, `answer`, as in `grade_school_math/data/test.jsonl`.
    """

    family = "math"
    hub: ClassVar[Hub] = Hub("openai/gsm8k", config="main")
    sample: ClassVar[str | None] = "gsm8k.jsonl"

    @override
    def problem(self, row: Row) -> Problem:
        question, answer = row.text("question"), row.text("answer")
        prompt = self.template.render({"question": question.strip()})
        _, marked, after = answer.rpartition("####")
        if not marked:
            raise row.error(f"'answer' must end with #### and a number, got {answer[-40:]!r}")
        return Problem(content_id("gsm8k", question), prompt, self.reference(row, "answer", after))
