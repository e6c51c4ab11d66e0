"""Each request with the fusion that it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.fusion import FusionStep, FusionWrapper, NoveltyFusion, fusions

__all__ = ["OFFERED", "ChosenFusion", "choose_fusion"]

OFFERED = ("beta_mix", "direction_only", "entropy_matched", "kl_budget", "norm_only", "p1_weighted", "subtraction")
"""Fusions that a request may choose: they remember nothing and need no arguments. Never a dotted path: who sends a
request must not choose what a server imports."""


def choose_fusion(fusion: NoveltyFusion, names: Sequence[str | None], device: torch.device) -> NoveltyFusion:
    """The fusion of a step from that of the step before: the engine's own, where no row asks for another.

    Args:
        fusion: the engine's own, or what this function has made of it.
        names: what each row asks for; None: the engine's own.
        device: of the rows.
    """
    own = fusion.inner if isinstance(fusion, ChosenFusion) else fusion
    return ChosenFusion(own, names, device) if any(names) else own


@final
class ChosenFusion(FusionWrapper):
    """The engine's own fusion, and for rows that ask for another one that other; it serves one step.

    Args:
        fusion: the engine's own, which may have a memory.
        names: as `choose_fusion` has them.
        device: of the rows.
    """

    def __init__(self, fusion: NoveltyFusion, names: Sequence[str | None], device: torch.device) -> None:
        super().__init__(fusion)
        self._others = {
            fusions.build(name): torch.tensor(
                [[other == name] for other in names], pin_memory=device.type == "cuda"
            ).to(device, non_blocking=True)
            for name in OFFERED
            if name in names
        }

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        fused = self.inner(step)
        for other, rows in self._others.items():
            fused = torch.where(rows, other(step), fused)
        return fused
