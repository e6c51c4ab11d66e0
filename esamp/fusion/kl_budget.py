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
        self.epsilon: float = check_number("epsilon", epsilon, low=0, low_open=True)

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        # Double precision: at extreme logits the KL is steep in β', and the root must be met all the same.
        reference, distilled, beta = step.reference.double(), step.distilled.double(), step.beta.double()
        before = masked_log_softmax(reference / step.temperature, step.mask)

        def excess(share: Tensor) -> Tensor:
            fused = beta_mix(reference, distilled, share * beta)
            return kl_divergence(masked_log_softmax(fused / step.temperature, step.mask), before) - self.epsilon

        share = bisect(excess, torch.zeros_like(beta), torch.ones_like(beta))
        fused = beta_mix(reference, distilled, share * beta)
        # Counted from the largest, so that rounding to single precision spares the logits that have any probability.
        fused = fused - fused.masked_fill(~step.mask, -torch.inf).amax(dim=-1, keepdim=True)
        at_bound = (share == 1).unsqueeze(-1)
        return torch.where(
            at_bound, beta_mix(step.reference, step.distilled, step.beta), fused.to(step.reference.dtype)
        )
