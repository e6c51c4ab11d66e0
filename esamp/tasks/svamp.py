"""SVAMP: one-step word problems with changed wording."""

from __future__ import annotations

from typing import ClassVar, final

from typing_extensions import override

from esamp.tasks.arithmetic import ArithmeticTask
from esamp.tasks.base import Problem, tasks
from esamp.tasks.hub import Hub
from esamp.tasks.rows import Row

__all__ = ["SVAMP"]


@tasks.register("svamp")
@final
class SVAMP(ArithmeticTask):
    """Word problems of one or two steps (Patel et al. 2021); the answer is a number.

    Rows: `ID`, `Body`, `Question`, `Answer`, as in `SVAMP.json`.
    """

    family = "math"
    hub: ClassVar[Hub] = Hub("ChilleD/SVAMP")
    sample: ClassVar[str | None] = "svamp.jsonl"

    @override
    def problem(self, row: Row) -> Problem:
        body = row.text("Body").strip()
        # Where the body is half a sentence ("If there are 5 in each"), the question is the other half.
        joint = " " if body.endswith((".", "?", "!", ",")) else ", "
        prompt = self.template.render({"question": body + joint + row.text("Question").strip()})
        return Problem(f"svamp/{row.text('ID')}", prompt, self.reference(row, "Answer", row.text("Answer")))
