"""NoveltyBench: prompts with many good answers, and none that is right."""

from __future__ import annotations

from typing import ClassVar, final

from typing_extensions import override

from esamp.tasks.base import Problem, Verdict, tasks
from esamp.tasks.dataset import DatasetTask
from esamp.tasks.hub import Hub
from esamp.tasks.rows import Row

__all__ = ["NoveltyBench"]


@tasks.register("noveltybench")
@final
class NoveltyBench(DatasetTask):
    """Open-ended prompts (Zhang et al. 2025), to measure diversity on: no sample is right or wrong.

    Rows: `id`, `prompt`, as in `data/curated.jsonl`.
    """

    family = "open"
    hub: ClassVar[Hub] = Hub("yimingzhang/novelty-bench", split="curated")
    sample: ClassVar[str | None] = "noveltybench.jsonl"

    @override
    def problem(self, row: Row) -> Problem:
        return Problem(f"noveltybench/{row.text('id')}", self.template.render({"prompt": row.text("prompt").strip()}))

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict(correct=None)
