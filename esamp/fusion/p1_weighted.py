"""β by confidence: where the model is sure, it is left alone."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_number
from esamp.functional import beta_mix, masked_log_softmax
from esamp.fusion.base import FusionStep, NoveltyFusion, fusions

__all__ = ["P1Weighted"]


@final
@fusions.register("p1_weighted")
class P1Weighted(NoveltyFusion):
    """z' = z + β (1 - p₁)^power (z - ẑ), p₁ the reference's largest probability among the candidates at temperature T.

    This is ours. In the paper's notation "p1" stood for the factor (1 + β), so that its "p1" fusion is `BetaMix`.

    Args:
        power: how fast β falls as the model gets sure; 0 is `BetaMix`.

    Raises:
        ValueError: `power` is negative.
    """

    def __init__(self, power: float = 1.0) -> None:
        self.power: float = check_number("power", power, low=0)

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        log_probs = masked_log_softmax(step.reference / step.temperature, step.mask)
        doubt = -torch.expm1(log_probs.amax(dim=-1))
        return beta_mix(step.reference, step.distilled, step.beta * doubt**self.power)
