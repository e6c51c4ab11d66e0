"""AIME: the American Invitational Mathematics Examination, whose answers are integers from 0 to 999."""

from __future__ import annotations

from typing import ClassVar, final

from typing_extensions import override

from esamp.tasks.arithmetic import ArithmeticTask
from esamp.tasks.base import Problem, tasks
from esamp.tasks.dataset import content_id
from esamp.tasks.hub import Hub
from esamp.tasks.rows import Row

__all__ = ["AIME24", "AIME25"]


class _AIME(ArithmeticTask):
    """One year's thirty problems. Rows: `problem` (or `question`), `answer`, and `id` where there is one."""

    family = "math"
    default_template = "competition"
    name: ClassVar[str]

    @override
    def problem(self, row: Row) -> Problem:
        question = row.text("problem", "question").strip()
        return Problem(
            id=f"{self.name}/{row.text('id')}" if "id" in row.values else content_id(self.name, question),
            prompt=self.template.render({"question": question}),
            reference=self.reference(row, "answer", row.text("answer")),
        )


@tasks.register("aime24")
@final
class AIME24(_AIME):
    """AIME I and II of 2024. Rows: `id`, `problem`, `answer`, as in HuggingFaceH4/aime_2024."""

    hub: ClassVar[Hub] = Hub("HuggingFaceH4/aime_2024", split="train")
    name = "aime24"


@tasks.register("aime25")
@final
class AIME25(_AIME):
    """AIME I and II of 2025. Rows: `id`, `problem`, `answer`, as in math-ai/aime25."""

    hub: ClassVar[Hub] = Hub("math-ai/aime25")
    name = "aime25"
