"""HumanEval: functions to be completed from their signature and docstring."""

from __future__ import annotations

import re
from typing import ClassVar, final

from typing_extensions import override

from esamp.tasks.base import Problem, Verdict, tasks
from esamp.tasks.code import CodeTask, code_block
from esamp.tasks.hub import Hub
from esamp.tasks.rows import Row

__all__ = ["HumanEval"]


@tasks.register("humaneval")
@final
class HumanEval(CodeTask):
    """Functions to be completed (Chen et al. 2021), right if `check(candidate)` passes.

    A sample is the rest of the function, or, in a fenced block or not, the whole of it.
    Rows: `task_id`, `prompt`, `entry_point`, `test`, as in `HumanEval.jsonl.gz`.
    """

    family = "humaneval"
    hub: ClassVar[Hub] = Hub("openai/openai_humaneval")
    sample: ClassVar[str | None] = "humaneval.jsonl"

    @override
    def problem(self, row: Row) -> Problem:
        prompt = row.text("prompt")
        reference = {"prompt": prompt, "entry_point": row.text("entry_point"), "test": row.text("test")}
        # The code itself ends with a line break after which a model would go on as it likes: it stays.
        return Problem(row.text("task_id"), self.template.render({"prompt": prompt}), reference)

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        prompt, name = problem.reference["prompt"], problem.reference["entry_point"]
        code = code_block(text)
        if code is None:
            code = self.cut(text)
        whole = re.search(rf"^(?:async )?def {re.escape(name)}\b", code, re.MULTILINE) is not None
        # A whole function comes after the prompt's, in place of it: imports and helpers of the prompt stay.
        solution = f"{prompt}\n    pass\n\n{code}" if whole else prompt + code
        return self.run(code if whole else solution, f"{solution}\n\n{problem.reference['test']}\n\ncheck({name})\n")
