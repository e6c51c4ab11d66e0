"""Pure tensor maths, each formula once.

Examples:
    >>> import torch
    >>> from esamp.functional import beta_mix
    >>> beta_mix(torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]]), torch.tensor([0.5]))
    tensor([[0.5000, 0.0000]])
"""

from esamp.functional.distributions import entropy, kl_divergence, masked_log_softmax, tilted_log_softmax
from esamp.functional.filters import (
    atypical,
    below_epsilon,
    below_eta,
    below_min_p,
    below_n_sigma,
    below_top_k,
    outside_nucleus,
)
from esamp.functional.fusion import beta_mix, subtraction
from esamp.functional.gated import gated_energy
from esamp.functional.looking import surely_all, surely_finite, surely_none
from esamp.functional.novelty import error_norm, tilt_from_error
from esamp.functional.objective import closed_form, log_partition, objective, reward
from esamp.functional.roots import bisect

__all__ = [
    "atypical",
    "below_epsilon",
    "below_eta",
    "below_min_p",
    "below_n_sigma",
    "below_top_k",
    "beta_mix",
    "bisect",
    "closed_form",
    "entropy",
    "error_norm",
    "gated_energy",
    "kl_divergence",
    "log_partition",
    "masked_log_softmax",
    "objective",
    "outside_nucleus",
    "reward",
    "subtraction",
    "surely_all",
    "surely_finite",
    "surely_none",
    "tilt_from_error",
    "tilted_log_softmax",
]
