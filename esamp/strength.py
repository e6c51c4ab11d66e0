"""Exploration strength β: one number, one for each sample, or a schedule over the steps."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.checks import check_number
from esamp.schedules import Schedule

__all__ = ["MAX_BETA", "Beta", "beta_per_sample", "check_beta", "name_betas"]

Beta = int | float | Tensor | Schedule
"""Exploration strength: one number, a tensor [n] or [prompts, n], or a schedule over the steps of a sample."""

# Far above anything of use, and low enough that z + β (z - ẑ) stays finite in float32.
MAX_BETA = 1e6
"""The largest β."""


def check_beta(beta: object) -> float:
    """β as a float.

    Raises:
        TypeError: it is not a number.
        ValueError: it is negative, NaN or above 1e6.
    """
    hint = "0 is plain sampling, the paper's value is 0.25, and generate takes a tensor of one for each sample"
    return check_number("beta", beta, low=0, high=MAX_BETA, hint=hint)


def beta_per_sample(beta: Beta, prompts: int, n: int) -> Float[Tensor, "prompts n"]:
    """β of each sample; ones where it is a schedule, which then stands for it.

    Raises:
        TypeError: it is neither a number nor a tensor of real numbers.
        ValueError: its shape is neither (n,) nor (prompts, n), or a value is negative, NaN or above 1e6.
    """
    if callable(beta):
        return torch.ones(prompts, n)
    if not isinstance(beta, Tensor):
        return torch.full((prompts, n), check_beta(beta))
    if beta.shape not in {(n,), (prompts, n)}:
        raise ValueError(
            f"beta must be a number or a tensor of shape ({n},) or ({prompts}, {n}) = (prompts, n), "
            f"got {tuple(beta.shape)}"
        )
    if beta.dtype is torch.bool or beta.is_complex():
        raise TypeError(f"beta must be a tensor of real numbers, got {beta.dtype}; use beta.float()")
    if not bool(((beta >= 0) & (beta <= MAX_BETA)).all()):
        raise ValueError(f"beta must hold finite numbers in [0, {MAX_BETA:g}], got {beta}; 0 is plain sampling")
    return beta.float().expand(prompts, n).clone()


def name_betas(beta: Float[Tensor, "prompts n"]) -> float | list[list[float]]:
    """The number that all samples have, or a list of each one's: for the record."""
    first = beta.flatten()[0]
    return float(first) if bool((beta == first).all()) else beta.tolist()
