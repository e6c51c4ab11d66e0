"""Novelty beside a reward of the caller's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_number
from esamp.functional import beta_mix
from esamp.fusion.base import FusionStep, NoveltyFusion, fusions

__all__ = ["RewardMix", "no_reward"]

Reward = Callable[[Int[Tensor, "rows candidates"]], Float[Tensor, "rows candidates"]]


def no_reward(ids: Int[Tensor, "rows candidates"]) -> Float[Tensor, "rows candidates"]:
    """r_ext = 0 for every token."""
    return torch.zeros(ids.shape, device=ids.device)


@final
@fusions.register("reward_mix")
class RewardMix(NoveltyFusion):
    """π ∝ π_ref exp(β r + γ r_ext), r = log π_ref - log q: the optimum of E[β r + γ r_ext] - KL(π ‖ π_ref).

    Rows with β = 0 are left alone, the reward too.

    Args:
        reward: r_ext of token ids, finite, of their shape.
        gamma: γ, weight of the reward; negative turns it into a penalty.

    Raises:
        ValueError: `gamma` is not finite.
    """

    def __init__(self, reward: Reward = no_reward, gamma: float = 1.0) -> None:
        self.reward = reward
        self.gamma: float = check_number("gamma", gamma)

    @override
    def __call__(self, step: FusionStep) -> Float[Tensor, "rows candidates"]:
        # Times T, because the fused logits are divided by T afterwards.
        bonus = self.gamma * step.temperature * self.reward(step.ids)
        mixed = beta_mix(step.reference, step.distilled, step.beta) + bonus
        return torch.where((step.beta > 0).unsqueeze(-1), mixed, step.reference)
