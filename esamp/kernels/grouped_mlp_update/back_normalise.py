"""Errors through the scale, the bias and the LayerNorm after a block."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import triton
import triton.language as tl

from esamp.kernels.grouped_mlp_update.back_down import shares

__all__ = ["back_normalise"]


@triton.jit(do_not_specialize=["rows", "lanes", "slots"])
def back_normalise(
    slot,
    alive,
    values,
    scale,
    bias,
    target,
    error,
    scale_rows,
    row_loss,
    rows,
    lanes,
    slots,
    d,
    WIDTH: tl.constexpr,
    EPS: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """One program = one row, v its values before LN: the loss, its gradient to v, and its shares of scale and bias.

    With n = LN(v), y = scale ⊙ n + bias and e = ∂L/∂y = 2 (y - target) / (rows · d): a row's share of ∂L/∂scale is
    e ⊙ n, of ∂L/∂bias it is e, and ∂L/∂v = (g - mean g - n mean(g ⊙ n)) / σ with g = e ⊙ scale.
    """
    row = tl.program_id(0)
    group = row // lanes if slot is None else tl.load(slot + row).to(tl.int32)
    share = tl.load(alive + row)
    if (group >= 0) & (group < slots) & (share > 0.0):
        total_share = shares(slot, alive, group, rows, lanes, CHUNK)
        column = tl.arange(0, WIDTH)
        inside = column < d
        offset = row.to(tl.int64) * d + column
        value = tl.load(values + offset, mask=inside, other=0.0)
        centred = tl.where(inside, value - tl.sum(value, 0) / d, 0.0)
        inverse = tl.rsqrt(tl.sum(centred * centred, 0) / d + EPS)
        normal = centred * inverse
        place = group.to(tl.int64) * d + column
        factor = tl.load(scale + place, mask=inside, other=0.0).to(tl.float32)
        gap = normal * factor + tl.load(bias + place, mask=inside, other=0.0).to(tl.float32)
        gap -= tl.load(target + offset, mask=inside, other=0.0).to(tl.float32)
        tl.store(row_loss + row, tl.sum(gap * gap, 0) / d)
        above = gap * (share * (2.0 / (total_share * d)))
        tl.store(scale_rows + offset, above * normal, mask=inside)
        tl.store(scale_rows + rows.to(tl.int64) * d + offset, above, mask=inside)
        slope = above * factor
        flat, along = tl.sum(slope, 0) / d, tl.sum(slope * normal, 0) / d
        tl.store(error + offset, (slope - flat - normal * along) * inverse, mask=inside)
