"""The KL-regularised objective behind ESamp, and its closed form.

Per step, J(π) = E_{a~π}[r(s, a)] - α KL(π ‖ π_ref) is maximised by π* ∝ π_ref exp(r / α), where J(π*) = α log Z with
Z = Σ π_ref exp(r / α) (ESamp, Eqs. 3-5). With r = log π_ref - log q and α = 1/β this is softmax((1 + β) z - β ẑ).
All functions take and give log-probabilities over the last axis.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from esamp.functional.distributions import kl_divergence

__all__ = ["closed_form", "log_partition", "objective", "reward"]


def reward(
    reference: Float[Tensor, "rows candidates"], distilled: Float[Tensor, "rows candidates"]
) -> Float[Tensor, "rows candidates"]:
    """r(s, a) = log π_ref(a) - log q(a), q = softmax(ẑ), in nats (ESamp, Eq. 4), from logits z and ẑ.

    Examples:
        >>> import torch
        >>> reward(torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.5, 0.5]]).log())
        tensor([[ 0.4055, -0.6931]])
    """
    return reference.log_softmax(dim=-1) - distilled.log_softmax(dim=-1)


def objective(
    log_probs: Float[Tensor, "rows candidates"],
    reference: Float[Tensor, "rows candidates"],
    rewards: Float[Tensor, "rows candidates"],
    alpha: float,
) -> Float[Tensor, " rows"]:
    """J(π) = E_{a~π}[r(s, a)] - α KL(π ‖ π_ref) (ESamp, Eq. 3)."""
    return (log_probs.exp() * rewards).sum(dim=-1) - alpha * kl_divergence(log_probs, reference)


def closed_form(
    reference: Float[Tensor, "rows candidates"], rewards: Float[Tensor, "rows candidates"], alpha: float
) -> Float[Tensor, "rows candidates"]:
    """Log π*, π* ∝ π_ref exp(r / α): the maximum of `objective` (ESamp, Eq. 5).

    Examples:
        Its value is α log Z, and no other distribution has more:

        >>> import torch
        >>> reference, rewards = torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.0, 1.0]])
        >>> best = closed_form(reference, rewards, alpha=0.5)
        >>> best.exp()
        tensor([[0.2888, 0.7112]])
        >>> objective(best, reference, rewards, alpha=0.5), 0.5 * log_partition(reference, rewards, alpha=0.5)
        (tensor([0.4772]), tensor([0.4772]))
        >>> objective(reference, reference, rewards, alpha=0.5)
        tensor([0.2500])
    """
    return (reference + rewards / alpha).log_softmax(dim=-1)


def log_partition(
    reference: Float[Tensor, "rows candidates"], rewards: Float[Tensor, "rows candidates"], alpha: float
) -> Float[Tensor, " rows"]:
    """Log Z = log Σ π_ref exp(r / α); the optimum of `objective` is α log Z."""
    return (reference + rewards / alpha).logsumexp(dim=-1)
