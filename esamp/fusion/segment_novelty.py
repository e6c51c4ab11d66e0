"""β by what siblings have said already: one step of the argument at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_choice, check_integer, check_number
from esamp.fusion.base import FusionStep, NoveltyFusion, Texts, fusions
from esamp.fusion.beta_mix import BetaMix
from esamp.fusion.remembering import RememberingFusion
from esamp.fusion.segment_memory import SegmentMemory

__all__ = ["SegmentNovelty"]

_STOPS = (".", "!", "?", "。", "！", "？", "…")
_CLOSING = " \t\"'”’»)]*_"


@final
@fusions.register("segment_novelty")
class SegmentNovelty(RememberingFusion[SegmentMemory]):
    """Another fusion with β ← β max(0, 1 + gain · s): s the largest cosine to a segment that a sibling has finished.

    A segment is a step of the argument, a line or a sentence; its vector is hᴸ pooled over its tokens, counted from the
    group's mean. Where a sample is on its way to say what a sibling has said (s > 0) it is pushed away harder, where it
    already goes its own way (s < 0) it is left alone. Our reading of the paper's "task-decomposed representations",
    which it names and does not define.

    Args:
        fusion: what gets that β; `BetaMix` by default.
        unit: "line" (ends at a newline) or "sentence" (at a full stop, a question or an exclamation mark, too). A token
            counts by its own text: the point of 3.14 ends a sentence.
        gain: how much a cosine of 1 adds to β, as a share of it; >= 0.
        shortest: tokens a segment has at least; one that would end earlier goes on.
        capacity: segments remembered for each group, the last ones; 4 d bytes each.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        fusion: NoveltyFusion | None = None,
        unit: str = "sentence",
        gain: float = 1.0,
        shortest: int = 4,
        capacity: int = 64,
    ) -> None:
        super().__init__(BetaMix() if fusion is None else fusions.build(fusion))
        self.unit: str = check_choice("unit", unit, ("line", "sentence"))
        self.gain: float = check_number("gain", gain, low=0)
        self.shortest: int = check_integer("shortest", shortest, low=1)
        self.capacity: int = check_integer("capacity", capacity, low=1)

    @override
    def remember(self, hidden_size: int, groups: int, texts: Texts, device: torch.device | str) -> SegmentMemory:
        ends = torch.tensor([self._ends(text) for text in texts()], dtype=torch.bool, device=device)
        return SegmentMemory(ends, self.shortest, self.capacity, groups, hidden_size)

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        if self.memory is None:
            return self.inner(step)
        factor = (1 + self.gain * self.memory.nearness(step.deep, step.rows)).clamp_min(0.0)
        return self.inner(replace(step, beta=step.beta * factor))

    def _ends(self, text: str) -> bool:
        return "\n" in text or (self.unit == "sentence" and text.rstrip(_CLOSING).endswith(_STOPS))
