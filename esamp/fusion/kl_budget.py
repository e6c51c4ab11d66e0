"""A KL budget: every step moves the distribution by the same amount."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_number
from esamp.functional import beta_mix, bisect, kl_divergence, masked_log_softmax
from esamp.fusion.base import FusionStep, NoveltyFusion, fusions

__all__ = ["KLBudget"]


@final
@fusions.register("kl_budget")
class KLBudget(NoveltyFusion):
    """`BetaMix` with the row's own β' ≤ β for which KL(π_new ‖ π_ref) = ε at temperature T, or β where that is less.

    The KL grows with β' (its derivative is β' times a variance), so the root is bracketed by 0 and β.

    Args:
        epsilon: ε > 0, the budget of a step in nats.

    Raises:
        ValueError: `epsilon` is not positive.
    """

    def __init__(self, epsilon: float = 0.1) -> None:
        self.epsilon = check_number("epsilon", epsilon, low=0, low_open=True)

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        before = masked_log_softmax(step.reference / step.temperature, step.mask)
        # Double precision: at extreme logits the KL is steep in β', and the root must be met all the same.
        reference, distilled = step.reference.double(), step.distilled.double()

        def excess(share: Tensor) -> Tensor:
            fused = beta_mix(reference, distilled, share * step.beta)
            return (
                kl_divergence(masked_log_softmax(fused / step.temperature, step.mask), before.double()) - self.epsilon
            )

        share = bisect(excess, torch.zeros_like(step.beta).double(), torch.ones_like(step.beta).double())
        return beta_mix(step.reference, step.distilled, (share * step.beta).to(step.beta.dtype))
