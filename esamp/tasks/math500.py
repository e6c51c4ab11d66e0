"""MATH-500: problems of mathematical competitions with answers of every form."""

from __future__ import annotations

from typing import ClassVar, final

from typing_extensions import override

from esamp.tasks.base import Problem, tasks
from esamp.tasks.dataset import content_id
from esamp.tasks.hub import Hub
from esamp.tasks.mathematics import MathTask
from esamp.tasks.rows import Row

__all__ = ["MATH500"]

_INSTRUCTION = "\nPlease reason step by step, and put your final answer within \\boxed{}."


@tasks.register("math500")
@final
class MATH500(MathTask):
    r"""500 problems of MATH (Hendrycks et al. 2021; the choice of Lightman et al. 2023), compared by math-verify.

    Rows: `problem`, `answer` and `unique_id`, as in HuggingFaceH4/MATH-500; or `prompt` and `answer`, where the prompt
    may end with an instruction to use `\boxed{}`, which is taken off: the template says that.
    """

    family = "math"
    hub: ClassVar[Hub] = Hub("HuggingFaceH4/MATH-500")

    @override
    def problem(self, row: Row) -> Problem:
        asked = row.text("problem", "prompt").removesuffix(_INSTRUCTION).strip()
        known = "unique_id" in row.values
        return Problem(
            id=f"math500/{row.text('unique_id')}" if known else content_id("math500", asked),
            prompt=self.template.render({"question": asked}),
            reference=row.text("answer").strip(),
        )
