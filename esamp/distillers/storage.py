"""Weights in sixteen bits that still feel a small step."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["stochastic_round"]

_LOW_BITS = 0xFFFF


def stochastic_round(values: Float[Tensor, "groups ..."], count: Int[Tensor, " groups"]) -> Float[Tensor, "groups ..."]:
    """float32 to bfloat16, up or down with probabilities that make the mean right.

    Rounding to nearest would lose every step smaller than 1/512 of a weight. The noise is a hash of the element's place
    and the slot's step count, so that equal slots stay equal and a run can be repeated; a value that bfloat16 holds
    exactly stays as it is.
    """
    place = torch.arange(values[0].numel(), dtype=torch.int32, device=values.device).view(values.shape[1:])
    noise = _hash(place + (count * 0x2545F491).view(-1, *[1] * (values.dim() - 1))) & _LOW_BITS
    bits = (values.view(torch.int32) + noise) & ~_LOW_BITS
    return torch.where(values.isfinite(), bits.view(torch.float32), values).bfloat16()


def _hash(bits: Tensor) -> Tensor:
    """Mix the bits of int32 words: two rounds of multiply and shift (the finaliser of Murmur's kind)."""
    for multiplier in (0x7FEB352D, -0x7B935975):
        bits = (bits ^ (bits >> 16)) * multiplier
    return bits ^ (bits >> 15)
