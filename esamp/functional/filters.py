"""Truncation rules: which tokens of softmax(scores) are left out. -inf marks what is out already."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from esamp.functional.distributions import entropy

__all__ = ["atypical", "below_epsilon", "below_eta", "below_min_p", "below_n_sigma", "below_top_k", "outside_nucleus"]

Scores = Float[Tensor, "rows vocab"]
Left = Bool[Tensor, "rows vocab"]


def below_n_sigma(scores: Scores, n: float) -> Left:
    """Z < max z - n σ(z), top-nσ (arXiv 2411.07641), σ² = mean (z - mean z)² over the tokens that are not forbidden.

    The set does not depend on temperature, which scales both sides.

    Examples:
        >>> import torch
        >>> below_n_sigma(torch.tensor([[4.0, 3.5, 0.0, 0.0]]), 1.0)
        tensor([[False, False,  True,  True]])
    """
    possible = scores.isfinite()
    count = possible.sum(dim=-1, keepdim=True).clamp_min(1)
    mean = scores.masked_fill(~possible, 0.0).sum(dim=-1, keepdim=True) / count
    variance = (scores - mean).masked_fill(~possible, 0.0).square().sum(dim=-1, keepdim=True) / count
    return scores < scores.amax(dim=-1, keepdim=True) - n * variance.sqrt()


def below_top_k(scores: Scores, k: int) -> Left:
    """Below the k-th largest score; what ties with it stays.

    Examples:
        >>> import torch
        >>> below_top_k(torch.tensor([[4.0, 1.0, 3.0]]), 2)
        tensor([[False,  True, False]])
    """
    return scores < scores.topk(min(k, scores.shape[-1])).values[:, -1:]


def outside_nucleus(scores: Scores, top_p: float) -> Left:
    """Outside the smallest set of at least this mass (Holtzman et al., arXiv 1904.09751).

    Examples:
        >>> import torch
        >>> outside_nucleus(torch.tensor([[0.5, 0.4, 0.1]]).log(), 0.8)
        tensor([[False, False,  True]])
    """
    # Ascending order and a cumulative sum from below, as transformers' TopPLogitsWarper does it: which of two tied
    # tokens stays, and the last bit of the sum, depend on it.
    ordered, order = scores.sort(descending=False)
    outside = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
    outside[:, -1] = False
    return outside.scatter(-1, order, outside)


def below_min_p(scores: Scores, min_p: float) -> Left:
    """P < min_p · max p (Nguyen et al., arXiv 2407.01082).

    Examples:
        >>> import torch
        >>> below_min_p(torch.tensor([[0.5, 0.4, 0.1]]).log(), 0.5)
        tensor([[False, False,  True]])
    """
    probs = scores.softmax(dim=-1)
    return probs < min_p * probs.amax(dim=-1, keepdim=True)


def atypical(scores: Scores, mass: float) -> Left:
    """Outside the smallest set of at least this mass whose -log p are nearest to the entropy (arXiv 2202.00666).

    Examples:
        The most probable token may be the atypical one, where most others are not like it:

        >>> import torch
        >>> atypical(torch.tensor([[0.4, 0.15, 0.15, 0.15, 0.15]]).log(), 0.5)
        tensor([[ True, False, False, False, False]])
    """
    log_probs = scores.log_softmax(dim=-1)
    distance = (-log_probs - entropy(log_probs).unsqueeze(-1)).abs()
    ordered, order = distance.sort(dim=-1)
    covered = scores.gather(-1, order).softmax(dim=-1).cumsum(dim=-1)
    last = (covered < mass).sum(dim=-1, keepdim=True).clamp_max(scores.shape[-1] - 1)
    # What ties with the last one stays, as in transformers' TypicalLogitsWarper.
    return distance > ordered.gather(-1, last)


def below_epsilon(scores: Scores, epsilon: float) -> Left:
    """P < ε, but never the most probable (Hewitt et al., arXiv 2210.15191).

    Examples:
        >>> import torch
        >>> below_epsilon(torch.tensor([[0.9, 0.08, 0.02]]).log(), 0.05)
        tensor([[False, False,  True]])
    """
    return (scores.softmax(dim=-1) < epsilon) & _not_the_best(scores)


def below_eta(scores: Scores, epsilon: float) -> Left:
    """P < η = min(ε, √ε exp(-H(p))), but never the most probable (Hewitt et al., arXiv 2210.15191).

    Examples:
        >>> import torch
        >>> below_eta(torch.tensor([[0.9, 0.08, 0.02]]).log(), 0.05)
        tensor([[False, False,  True]])
    """
    log_probs = scores.log_softmax(dim=-1)
    # The root in the scores' own precision, as transformers takes it.
    root = scores.new_full((), epsilon).sqrt()
    eta = (root * (-entropy(log_probs)).exp()).clamp_max(epsilon)
    return (scores.softmax(dim=-1) < eta.unsqueeze(-1)) & _not_the_best(scores)


def _not_the_best(scores: Tensor) -> Tensor:
    return scores < scores.amax(dim=-1, keepdim=True)
