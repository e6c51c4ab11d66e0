"""Logits of candidates in plain PyTorch: what the kernel must compute, and what the CPU runs."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.noise import gumbel_argmax

__all__ = ["draw", "error_norm", "finish", "logits", "mix"]


def finish(logits: Float[Tensor, "*shape"], scale: float, softcap: float | None) -> Float[Tensor, "*shape"]:
    """C tanh(s · logits / c), where there is a soft-cap c."""
    if scale != 1.0:
        logits = logits * scale
    return logits if softcap is None else softcap * torch.tanh(logits / softcap)


def logits(
    hidden: Float[Tensor, "rows d"],
    weight: Float[Tensor, "vocab d"],
    ids: Int[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    bias: Float[Tensor, " vocab"] | None = None,
    scale: float = 1.0,
    softcap: float | None = None,
) -> Float[Tensor, "rows candidates"]:
    """Dot products with the candidates' rows of W, at least float32; 0 in empty places."""
    row, token = mask.nonzero(as_tuple=True)[0], ids.masked_select(mask)
    wide = torch.promote_types(hidden.dtype, torch.float32)
    values = weight.index_select(0, token).to(wide).mul_(hidden.to(wide).index_select(0, row)).sum(dim=-1)
    if bias is not None:
        values = values + bias[token].to(wide)
    return values.new_zeros(ids.shape).masked_scatter_(mask, finish(values, scale, softcap))


def error_norm(deep: Float[Tensor, "rows d"], hidden: Float[Tensor, "rows d"]) -> Float[Tensor, " rows"]:
    """‖deep - hidden‖ of each row; NaN where `hidden` is not finite."""
    norm = torch.linalg.vector_norm(deep.to(hidden.dtype) - hidden, dim=-1)
    return norm.masked_fill(~hidden.isfinite().all(dim=-1), torch.nan)


def mix(
    distilled: Float[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    reference: Float[Tensor, "rows candidates"],
    b: Float[Tensor, " rows"],
    a: Float[Tensor, " rows"] | None = None,
    temperature: Float[Tensor, "rows 1"] | None = None,
) -> Float[Tensor, "rows candidates"]:
    """(a·z - b·ẑ) / T; 0 in empty places. Without `a` it is 1 + b, and b = 0 gives exactly z / T."""
    b = b.unsqueeze(-1)
    mixed = reference + b * (reference - distilled) if a is None else a.unsqueeze(-1) * reference - b * distilled
    return (mixed if temperature is None else mixed / temperature).masked_fill(~mask, 0.0)


def draw(
    logits: Float[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    ids: Int[Tensor, "rows candidates"],
    seed: int,
    sample: Int[Tensor, " rows"],
    step: Int[Tensor, " rows"],
) -> tuple[Int[Tensor, " rows"], Float[Tensor, " rows"]]:
    """Place of the drawn candidate and its log-probability."""
    log_probs = logits.masked_fill(~mask, -torch.inf).log_softmax(dim=-1)
    place = gumbel_argmax(log_probs, ids, seed, sample, step)
    return place, log_probs.gather(-1, place.unsqueeze(-1)).squeeze(-1)
