"""The paper's own measurements beside the arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from esamp.studies.speed.roofline.distillers import Cost, candidate_head, gradient_floors
from esamp.studies.speed.roofline.machines import RTX_4090
from esamp.studies.speed.roofline.models import QWEN_7B, QWEN_8B, Batch, Model, decode_step

__all__ = ["MEASURED", "Measured", "paper_table"]

_WIDTH, _BLOCKS, _RANK = 384, 2, 64


@final
@dataclass(frozen=True)
class Measured:
    """A row of the paper's tables.

    Attributes:
        model: the LLM.
        batch: prompts and samples.
        plain: tokens per second without ESamp.
        explored: tokens per second with it.
        rank: of the released engine's low-rank block; None: the paper's MLP.
    """

    model: Model
    batch: Batch
    plain: float
    explored: float
    rank: int | None = None

    def cost(self, moment: int, weight: int) -> Cost:
        """The floor of its distiller, with so many bytes a moment and a weight."""
        d, groups, lanes = self.model.d, self.batch.prompts, self.batch.n
        if self.rank is None:
            weights = _BLOCKS * 3 * d * _WIDTH
            return gradient_floors(weights, weights - 2 * d * _WIDTH, d, groups, lanes, weight, moment)
        return gradient_floors(3 * d * self.rank + 2 * d, d * self.rank + d, d, groups, lanes, weight, moment)


MEASURED = (
    Measured(QWEN_8B, Batch(1, 1), 55.1, 54.9),
    Measured(QWEN_8B, Batch(32, 1), 1215.2, 1193.2),
    Measured(QWEN_8B, Batch(32, 16), 4557.7, 4364.0),
    Measured(QWEN_7B, Batch(8, 16), 5370.6, 5304.9, _RANK),
)
"""ESamp, tables of throughput: the paper's MLP on an RTX 4090, and the released engine, whose card is taken for one."""


def paper_table() -> str:
    """Loss of tokens per second as measured, and as the floors make it beside the step that was measured.

    The measured step is rows over tokens per second, as if all rows had been decoded at once.
    """
    lines = [
        "| model, prompts × n | step, measured, ms | its floor | loss, measured | floor, float32 | floor, 16 bits |",
        "|---|---|---|---|---|---|",
    ]
    for row in MEASURED:
        step = row.batch.rows / row.plain
        floor = RTX_4090.seconds(decode_step(row.model, row.batch))
        losses = " | ".join(f"{-_loss(row, step, moment=size, weight=size):.2%}" for size in (4, 2))
        lines.append(
            f"| {row.model.name}, {row.batch.prompts}×{row.batch.n} | {step * 1e3:.1f} | {floor * 1e3:.1f} | "
            f"{row.explored / row.plain - 1:.2%} | {losses} |"
        )
    return "\n".join(lines)


def _loss(row: Measured, step: float, *, moment: int, weight: int) -> float:
    cost = row.cost(moment, weight)
    parts = (cost.predict, candidate_head(row.model, row.batch), cost.learn)
    added = sum(RTX_4090.seconds(part) for part in parts)
    return added / (step + added)
