"""Gated residual blocks for rows of different slots: two launches a block, each weight read once."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from esamp.kernels.launch import launch
from esamp.kernels.primitives import contiguous, multiply, options, padded, precision, rounded, rows_of, silu

__all__ = ["RMS_EPS", "Activations", "expand", "forward", "row_tile", "shrink"]

# Programs that keep the memory of a large GPU busy; fewer and the reduction over d is split.
_PROGRAMS = 256
# Rows of a tile times splits: what `expand` adds up for one step of its product must fit the registers.
_MOST_PARTS = 128
_CHUNK = 128
RMS_EPS = torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class Activations:
    """What the forward pass leaves for the backward pass; everything is float32 but the inputs.

    Attributes:
        slot: slot of each row, or None where each slot has `lanes` neighbouring rows.
        lanes: most rows of a slot.
        hidden: input of each block, then the output of the last, each [rows, d].
        gates: for each block, parts of gate and up that sum up to them, [splits, rows, 2r].
        squares: parts of the inputs' squared norm [splits, rows] where the input is normalised, else None.
    """

    slot: Tensor | None
    lanes: int
    hidden: list[Tensor]
    gates: list[Tensor]
    squares: Tensor | None


def row_tile(lanes: int) -> int:
    """Rows of one tile of a product: all of a slot's where they are at most 64, which is when weights are read once."""
    return padded(lanes, 16, 64)


def forward(
    x: Tensor, slot: Tensor | None, lanes: int, gate_up: Sequence[Tensor], down: Sequence[Tensor], rms: bool = False
) -> Activations:
    """The blocks x ← x + (SiLU(gate) ⊙ up) W_down, gate | up = x W_gate_up; `rms` normalises the first input."""
    x = x.contiguous()
    hidden, gates, squares = [x], [], None
    contiguous(*gate_up, *down)
    for index, (wide, narrow) in enumerate(zip(gate_up, down, strict=True)):
        normal = rms and index == 0
        parts, sums = _shrink(hidden[-1], slot, lanes, wide, normal)
        squares = sums if normal else squares
        last = index + 1 == len(gate_up) and not rms
        out = torch.empty(x.shape, dtype=x.dtype if last else torch.float32, device=x.device)
        _expand(hidden[-1], slot, lanes, narrow, parts, sums, out)
        hidden.append(out)
        gates.append(parts)
    return Activations(slot, lanes, hidden, gates, squares)


def _shrink(x: Tensor, slot: Tensor | None, lanes: int, weight: Tensor, rms: bool) -> tuple[Tensor, Tensor | None]:
    rows, d = x.shape
    slots, _, columns = weight.shape
    bm, bn = row_tile(lanes), 32 if weight.dtype == torch.float32 else 64
    bk = 64 if bm == 16 else 32
    blocks = triton.cdiv(columns, bn)
    splits = max(1, min(_PROGRAMS // max(slots * blocks, 1), _MOST_PARTS // bm, triton.cdiv(d, 4 * bk)))
    chunk = triton.cdiv(triton.cdiv(d, splits), bk) * bk
    splits = triton.cdiv(d, chunk)
    parts = torch.empty(splits, rows, columns, dtype=torch.float32, device=x.device)
    squares = torch.empty(splits, rows, dtype=torch.float32, device=x.device) if rms else None
    arguments = {
        "x": x,
        "slot": slot,
        "weight": weight,
        "parts": parts,
        "squares": squares,
        "rows": rows,
    }
    arguments |= {"columns": columns, "chunk": chunk, "BM": bm, "BN": bn, "BK": bk, "CHUNK": _CHUNK}
    arguments |= {"lanes": lanes, "d": d, "PRECISION": precision()}
    # Four warps of 32 rows hold squares to add or two further steps' loads; both would spill on some GPUs.
    launch(shrink, (slots, blocks, splits), arguments, **options(bm, stages=2 if rms and bm == 32 else 3))
    return parts, squares


def _expand(
    x: Tensor, slot: Tensor | None, lanes: int, weight: Tensor, parts: Tensor, squares: Tensor | None, out: Tensor
) -> None:
    rows, d = x.shape
    slots, inner, _ = weight.shape
    bm = row_tile(lanes)
    bn = 32 if weight.dtype == torch.float32 or bm > 16 else 64
    arguments = {
        "x": x,
        "slot": slot,
        "weight": weight,
        "parts": parts,
        "squares": squares,
        "out": out,
        "rows": rows,
        "lanes": lanes,
    }
    arguments |= {"slots": slots, "d": d, "inner": inner, "SPLITS": parts.shape[0], "BM": bm, "BN": bn, "BR": 32}
    arguments |= {"CHUNK": _CHUNK, "EPS": RMS_EPS, "PRECISION": precision()}
    # One more program along the first axis looks after the rows without a slot.
    grid = (slots if slot is None else slots + 1, triton.cdiv(d, bn))
    # So many parts are enough loads in flight; those of the next step as well would spill on some GPUs, and so would 32
    # rows of a normalised input without twice the warps.
    launch(expand, grid, arguments, **options(bm if squares is None else 2 * bm, stages=1 if parts.shape[0] > 3 else 2))


@triton.jit(do_not_specialize=["rows", "lanes"])
def shrink(
    x,
    slot,
    weight,
    parts,
    squares,
    rows,
    lanes,
    d,
    columns,
    chunk,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
    CHUNK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One program = (slot, BN columns, a part of d): parts[split, row, column] = x · W over that part of d."""
    group = tl.program_id(0)
    column = tl.program_id(1) * BN + tl.arange(0, BN)
    split = tl.program_id(2)
    base = weight + group.to(tl.int64) * d * columns
    for first in range(0, lanes, BM):
        row = rows_of(slot, group, first, rows, lanes, BM, CHUNK)
        if tl.min(row, 0) < rows:
            alive = row < rows
            place = row.to(tl.int64)[:, None]
            total = tl.zeros((BM, BN), tl.float32)
            square = tl.zeros((BM,), tl.float32)
            for start in range(0, chunk, BK):
                k = split * chunk + start + tl.arange(0, BK)
                inside = k < d
                left = tl.load(x + place * d + k[None, :], mask=alive[:, None] & inside[None, :], other=0.0)
                right = tl.load(
                    base + k[:, None] * columns + column[None, :],
                    mask=inside[:, None] & (column < columns)[None, :],
                    other=0.0,
                )
                if squares is not None:
                    wide = left.to(tl.float32)
                    square += tl.sum(wide * wide, 1)
                total = multiply(left, right, total, PRECISION)
            target = (split.to(tl.int64) * rows + place) * columns + column[None, :]
            tl.store(parts + target, total, mask=alive[:, None] & (column < columns)[None, :])
            if squares is not None and tl.program_id(1) == 0:
                tl.store(squares + split * rows + row, square, mask=alive)


@triton.jit
def clear(slot, out, rows, slots, d, BM: tl.constexpr, BN: tl.constexpr):
    """Zeros for the rows without a slot, in this program's columns."""
    column = tl.program_id(1) * BN + tl.arange(0, BN)
    for start in range(0, rows, BM):
        row = start + tl.arange(0, BM)
        owner = tl.load(slot + row, mask=row < rows, other=0)
        nobody = (row < rows) & ((owner < 0) | (owner >= slots))
        target = out + row.to(tl.int64)[:, None] * d + column[None, :]
        tl.store(target, tl.zeros((BM, BN), out.dtype.element_ty), mask=nobody[:, None] & (column < d)[None, :])


@triton.jit(do_not_specialize=["rows", "lanes", "slots"])
def expand(
    x,
    slot,
    weight,
    parts,
    squares,
    out,
    rows,
    lanes,
    slots,
    d,
    inner,
    SPLITS: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BR: tl.constexpr,
    CHUNK: tl.constexpr,
    EPS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One program = (slot, BN columns of d): x + (SiLU(gate) ⊙ up) · W_down; rows without a slot get 0."""
    group = tl.program_id(0)
    column = tl.program_id(1) * BN + tl.arange(0, BN)
    within = column < d
    if slot is not None and group == slots:
        clear(slot, out, rows, slots, d, BM, BN)
        return
    base = weight + group.to(tl.int64) * inner * d
    for first in range(0, lanes, BM):
        row = rows_of(slot, group, first, rows, lanes, BM, CHUNK)
        if tl.min(row, 0) < rows:
            alive = row < rows
            place = row.to(tl.int64)[:, None]
            size = tl.full((BM,), 1.0, tl.float32)
            if squares is not None:
                total_square = tl.zeros((BM,), tl.float32)
                for split in tl.static_range(SPLITS):
                    total_square += tl.load(squares + split * rows + row, mask=alive, other=0.0)
                size = tl.rsqrt(total_square / d + EPS)
            total = tl.zeros((BM, BN), tl.float32)
            for start in range(0, inner, BR):
                r = start + tl.arange(0, BR)
                here = alive[:, None] & (r < inner)[None, :]
                gate = tl.zeros((BM, BR), tl.float32)
                up = tl.zeros((BM, BR), tl.float32)
                for split in tl.static_range(SPLITS):
                    source = parts + (split * rows + place) * (2 * inner) + r[None, :]
                    gate += tl.load(source, mask=here, other=0.0)
                    up += tl.load(source + inner, mask=here, other=0.0)
                active = silu(gate * size[:, None]) * (up * size[:, None])
                right = tl.load(
                    base + r[:, None] * d + column[None, :], mask=(r < inner)[:, None] & within[None, :], other=0.0
                )
                total = multiply(active, right, total, PRECISION)
            here = alive[:, None] & within[None, :]
            residual = tl.load(x + place * d + column[None, :], mask=here, other=0.0).to(tl.float32)
            result = residual * size[:, None] + total
            tl.store(out + place * d + column[None, :], rounded(result, out.dtype.element_ty), mask=here)
