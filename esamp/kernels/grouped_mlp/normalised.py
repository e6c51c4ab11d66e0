"""One gated block between RMSNorm and LayerNorm: the blocks' two launches, and one for what is around them."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from esamp.kernels.grouped_mlp.triton import Activations, forward
from esamp.kernels.launch import launch
from esamp.kernels.primitives import contiguous, rounded

__all__ = ["LAYER_EPS", "forward_normalised", "normalise"]

LAYER_EPS = 1e-5


def forward_normalised(
    x: Tensor, slot: Tensor | None, lanes: int, gate_up: Tensor, down: Tensor, scale: Tensor, bias: Tensor
) -> tuple[Activations, Tensor]:
    """One block between RMSNorm and LayerNorm: three launches."""
    contiguous(scale, bias)
    activations = forward(x, slot, lanes, [gate_up], [down], rms=True)
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    rows, d = x.shape
    arguments = {
        "values": activations.hidden[-1],
        "slot": slot,
        "scale": scale,
        "bias": bias,
        "out": out,
        "rows": rows,
        "lanes": lanes,
    }
    arguments |= {"slots": scale.shape[0], "d": d, "WIDTH": triton.next_power_of_2(d), "EPS": LAYER_EPS}
    launch(normalise, (rows,), arguments, num_warps=8 if d > 2048 else 4)
    return activations, out


@triton.jit(do_not_specialize=["rows", "lanes", "slots"])
def normalise(values, slot, scale, bias, out, rows, lanes, slots, d, WIDTH: tl.constexpr, EPS: tl.constexpr):
    """One program = one row: scale ⊙ LN(values) + bias; a row without a slot gets 0."""
    row = tl.program_id(0)
    column = tl.arange(0, WIDTH)
    inside = column < d
    group = row // lanes if slot is None else tl.load(slot + row).to(tl.int32)
    offset = row.to(tl.int64) * d + column
    if (group < 0) | (group >= slots):
        tl.store(out + offset, tl.zeros((WIDTH,), out.dtype.element_ty), mask=inside)
        return
    value = tl.load(values + offset, mask=inside, other=0.0)
    mean = tl.sum(value, 0) / d
    centred = tl.where(inside, value - mean, 0.0)
    inverse = tl.rsqrt(tl.sum(centred * centred, 0) / d + EPS)
    place = group.to(tl.int64) * d + column
    factor = tl.load(scale + place, mask=inside, other=0.0).to(tl.float32)
    shift = tl.load(bias + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + offset, rounded(centred * inverse * factor + shift, out.dtype.element_ty), mask=inside)
