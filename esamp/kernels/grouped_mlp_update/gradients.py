"""Gradients from their factors, tile by tile in registers; and their norm, where it takes a launch of its own."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import triton
import triton.language as tl

from esamp.kernels.primitives import multiply, rows_of

__all__ = ["gradient_tile", "measure"]


@triton.jit
def gradient_tile(
    slot,
    alive,
    left,
    right,
    group,
    i,
    j,
    rows,
    lanes,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    ONE: tl.constexpr,
    BM: tl.constexpr,
    TA: tl.constexpr,
    TB: tl.constexpr,
    CHUNK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Aᵀ B of a slot's living rows, at rows i and columns j of the weight."""
    total = tl.zeros((TA, TB), tl.float32)
    # One tile is no loop, for the compiler's sake.
    for first in range(0, BM if ONE else lanes, BM):
        row = rows_of(slot, group, first, rows, lanes, BM, CHUNK)
        here = (tl.load(alive + row, mask=row < rows, other=0.0) > 0.0)[:, None]
        place = row.to(tl.int64)[:, None]
        a = tl.load(left + place * HEIGHT + i[None, :], mask=here & (i < HEIGHT)[None, :], other=0.0)
        b = tl.load(right + place * WIDTH + j[None, :], mask=here & (j < WIDTH)[None, :], other=0.0)
        total = multiply(tl.trans(a.to(tl.float32)), b, total, PRECISION)
    return total


@triton.jit(do_not_specialize=["rows", "lanes", "parts"])
def measure(
    slot,
    alive,
    left,
    right,
    norms,
    rows,
    lanes,
    parts,
    HEIGHTS: tl.constexpr,
    WIDTHS: tl.constexpr,
    STRIPS: tl.constexpr,
    BM: tl.constexpr,
    TA: tl.constexpr,
    TB: tl.constexpr,
    CHUNK: tl.constexpr,
    ROUGH: tl.constexpr,
):
    """One program = (slot, TA rows of one weight): sum of the squares of their gradients."""
    group = tl.program_id(0)
    before = 0
    for index in tl.static_range(len(STRIPS)):
        strip = tl.program_id(1) - before
        if (strip >= 0) & (strip < STRIPS[index]):
            i = strip * TA + tl.arange(0, TA)
            square = tl.zeros((TA, TB), tl.float32)
            for start in range(0, WIDTHS[index], TB):
                j = start + tl.arange(0, TB)
                gradient = gradient_tile(
                    slot,
                    alive,
                    left[index],
                    right[index],
                    group,
                    i,
                    j,
                    rows,
                    lanes,
                    HEIGHTS[index],
                    WIDTHS[index],
                    False,
                    BM,
                    TA,
                    TB,
                    CHUNK,
                    ROUGH,
                )
                square += gradient * gradient
            size = tl.sum(tl.sum(square, 1), 0)
            tl.store(norms + group.to(tl.int64) * parts + tl.program_id(1), size)
        before += STRIPS[index]
