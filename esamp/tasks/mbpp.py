"""MBPP: small Python programs from one sentence."""

from __future__ import annotations

from typing import ClassVar, final

from typing_extensions import override

from esamp.tasks.base import Problem, Verdict, tasks
from esamp.tasks.code import CodeTask, code_block
from esamp.tasks.hub import Hub
from esamp.tasks.rows import Row

__all__ = ["MBPP"]


@tasks.register("mbpp")
@final
class MBPP(CodeTask):
    """Small programs (Austin et al. 2021), right if every assertion of `test_list` holds.

    Rows: `task_id`, `text`, `test_list`, and `test_setup_code` where there is one, as in `mbpp.jsonl`.
    """

    family = "mbpp"
    hub: ClassVar[Hub] = Hub("google-research-datasets/mbpp", config="full")
    sample: ClassVar[str | None] = "mbpp.jsonl"

    @override
    def problem(self, row: Row) -> Problem:
        asserts = row.texts("test_list")
        if not asserts:
            raise row.error("'test_list' must hold at least one assertion, got []")
        fields = {"text": row.text("text").strip(), "tests": "\n".join(asserts)}
        tests = "\n".join([str(row.values.get("test_setup_code") or ""), *asserts])
        return Problem(f"mbpp/{row.text('task_id')}", self.template.render(fields), {"tests": tests})

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        code = code_block(text)
        if code is None:
            code = self.cut(text)
        return self.run(code, f"{code}\n\n{problem.reference['tests']}\n")
