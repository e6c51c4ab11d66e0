"""Errors through W_gate_up of one block, to the block below."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import triton
import triton.language as tl

from esamp.kernels.primitives import multiply, rows_of

__all__ = ["back_gate_up"]


@triton.jit(do_not_specialize=["rows", "lanes", "cell", "parts"])
def back_gate_up(
    slot,
    alive,
    x,
    weight,
    error,
    slopes,
    below,
    norms,
    rows,
    lanes,
    d,
    inner,
    parts,
    cell,
    NORMS: tl.constexpr,
    BM: tl.constexpr,
    BR: tl.constexpr,
    BD: tl.constexpr,
    CHUNK: tl.constexpr,
    PRECISION: tl.constexpr,
    ROUGH: tl.constexpr,
):
    """One program = (slot, BD columns of d): error below a block = error above it + slopes · W_gate_upᵀ."""
    group = tl.program_id(0)
    k = tl.program_id(1) * BD + tl.arange(0, BD)
    base = weight + group.to(tl.int64) * d * (2 * inner)
    # One tile is no loop, for the compiler's sake.
    for first in range(0, BM if NORMS else lanes, BM):
        row = rows_of(slot, group, first, rows, lanes, BM, CHUNK)
        here = tl.load(alive + row, mask=row < rows, other=0.0) > 0.0
        if tl.max(here.to(tl.int32), 0) > 0:
            place = row.to(tl.int64)[:, None]
            within = here[:, None] & (k < d)[None, :]
            total = tl.load(error + place * d + k[None, :], mask=within, other=0.0)
            if NORMS:
                values = tl.trans(tl.load(x + place * d + k[None, :], mask=within, other=0.0).to(tl.float32))
                square = tl.zeros((BD, BR), tl.float32)
            for start in range(0, 2 * inner, BR):
                r = start + tl.arange(0, BR)
                known = r < 2 * inner
                offset = slopes + place * (2 * inner) + r[None, :]
                slope = tl.load(offset, mask=here[:, None] & known[None, :], other=0.0)
                matrix = tl.load(
                    base + k[:, None] * (2 * inner) + r[None, :], mask=(k < d)[:, None] & known[None, :], other=0.0
                )
                total = multiply(slope, tl.trans(matrix), total, PRECISION)
                if NORMS:
                    gradient = multiply(values, slope, tl.zeros((BD, BR), tl.float32), ROUGH)
                    square += gradient * gradient
            tl.store(below + place * d + k[None, :], total, mask=within)
            if NORMS:
                tl.store(norms + group.to(tl.int64) * parts + cell + tl.program_id(1), tl.sum(tl.sum(square, 1), 0))
