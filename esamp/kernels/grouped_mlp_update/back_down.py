"""Errors through W_down and the gate of one block, and what the norm of its gradients needs."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import triton
import triton.language as tl

from esamp.kernels.primitives import multiply, rows_of, silu

__all__ = ["back_down", "shares"]


@triton.jit
def shares(slot, alive, group, rows, lanes, CHUNK: tl.constexpr):
    """Sum of `alive` over the rows of a slot: how many live."""
    total = tl.full((), 0.0, tl.float32)
    for start in range(0, lanes if slot is None else rows, CHUNK):
        place = start + tl.arange(0, CHUNK)
        if slot is None:
            row = group * lanes + place
            mine = place < lanes
        else:
            row = place
            mine = tl.load(slot + row, mask=row < rows, other=-1) == group
        total += tl.sum(tl.load(alive + row, mask=mine, other=0.0), 0)
    return total


@triton.jit
def column_squares(values, place, k, within, d):
    """Squares of the sums over rows, in these columns of d: of the gradients of a scale or a bias."""
    column = tl.sum(tl.load(values + place * d + k[None, :], mask=within, other=0.0), 0)
    return tl.sum(column * column, 0)


@triton.jit(do_not_specialize=["rows", "lanes", "cell", "parts"])
def back_down(  # noqa: C901  each `is None` is settled when the kernel is compiled
    slot,
    alive,
    x,
    gates,
    squares,
    weight,
    predicted,
    target,
    row_loss,
    scale_rows,
    error,
    active,
    slopes,
    norms,
    loss,
    count,
    rounds,
    rows,
    lanes,
    d,
    inner,
    parts,
    cell,
    SPLITS: tl.constexpr,
    FIRST: tl.constexpr,
    NORMS: tl.constexpr,
    BM: tl.constexpr,
    BR: tl.constexpr,
    BD: tl.constexpr,
    CHUNK: tl.constexpr,
    EPS: tl.constexpr,
    PRECISION: tl.constexpr,
    ROUGH: tl.constexpr,
):
    """One program = (slot, BR of r): errors through W_down and SiLU; for the last block also the error and the loss.

    Writes SiLU(gate) ⊙ up (`active`) and the gradients of gate and up (`slopes`). With NORMS, which is for slots of one
    tile of rows, it adds up the squares of what the gradients of W_down, and for the first block of W_gate_up, will be.
    """
    group = tl.program_id(0)
    leads = tl.program_id(1) == 0
    total_share = shares(slot, alive, group, rows, lanes, CHUNK)
    if loss is not None and leads:
        moved = (total_share > 0.0).to(tl.float32)
        tl.store(count + group, tl.load(count + group) + moved)
        if rounds is not None:
            tl.store(rounds + group, tl.load(rounds + group) + 1)
    total_loss = tl.full((), 0.0, tl.float32)
    # One tile is no loop, for the compiler's sake.
    for first in range(0, BM if NORMS else lanes, BM):
        row = rows_of(slot, group, first, rows, lanes, BM, CHUNK)
        share = tl.load(alive + row, mask=row < rows, other=0.0)
        if tl.sum(share, 0) > 0.0:
            here = share > 0.0
            place = row.to(tl.int64)[:, None]
            r = tl.program_id(1) * BR + tl.arange(0, BR)
            inside = here[:, None] & (r < inner)[None, :]
            gate = tl.zeros((BM, BR), tl.float32)
            up = tl.zeros((BM, BR), tl.float32)
            for split in tl.static_range(SPLITS):
                source = gates + (split * rows + place) * (2 * inner) + r[None, :]
                gate += tl.load(source, mask=inside, other=0.0)
                up += tl.load(source + inner, mask=inside, other=0.0)
            if squares is not None:
                total_square = tl.zeros((BM,), tl.float32)
                for split in tl.static_range(SPLITS):
                    total_square += tl.load(squares + split * rows + row, mask=here, other=0.0)
                size = tl.rsqrt(total_square / d + EPS)[:, None]
                gate, up = gate * size, up * size
            bend = silu(gate) * up
            tl.store(active + place * inner + r[None, :], bend, mask=inside)

            through = tl.zeros((BM, BR), tl.float32)
            square = tl.zeros((BR, BD), tl.float32)
            norm = tl.full((), 0.0, tl.float32)
            row_total = tl.zeros((BM,), tl.float32)
            base = weight + group.to(tl.int64) * inner * d
            for start in range(0, d, BD):
                k = start + tl.arange(0, BD)
                within = here[:, None] & (k < d)[None, :]
                offset = place * d + k[None, :]
                if target is not None:
                    gap = tl.load(predicted + offset, mask=within, other=0.0).to(tl.float32)
                    gap -= tl.load(target + offset, mask=within, other=0.0).to(tl.float32)
                    row_total += tl.sum(gap * gap, 1) * share
                    above = gap * (share * (2.0 / (total_share * d)))[:, None]
                    if leads:
                        tl.store(error + offset, above, mask=within)
                else:
                    above = tl.load(error + offset, mask=within, other=0.0)
                matrix = tl.load(
                    base + r[:, None] * d + k[None, :], mask=(r < inner)[:, None] & (k < d)[None, :], other=0.0
                )
                through = multiply(above, tl.trans(matrix), through, PRECISION)
                if NORMS:
                    gradient = multiply(tl.trans(bend), above, tl.zeros((BR, BD), tl.float32), ROUGH)
                    square += gradient * gradient
                    # Columns of the scale and bias are shared out among the programs of a slot.
                    if scale_rows is not None and (start // BD) % tl.num_programs(1) == tl.program_id(1):
                        norm += column_squares(scale_rows, place, k, within, d)
                        norm += column_squares(scale_rows + rows.to(tl.int64) * d, place, k, within, d)
            if row_loss is not None:
                row_total = tl.load(row_loss + row, mask=here, other=0.0) * share
            total_loss += tl.sum(row_total, 0)

            gentle = tl.sigmoid(gate)
            gate_slope = through * up * (gentle + gate * gentle * (1.0 - gentle))
            up_slope = through * gate * gentle
            if squares is not None:
                # The gradient of W_gate_up is that of a product with x / σ: σ goes to this factor of it.
                gate_slope, up_slope = gate_slope * size, up_slope * size
            offset = slopes + place * (2 * inner) + r[None, :]
            tl.store(offset, gate_slope, mask=inside)
            tl.store(offset + inner, up_slope, mask=inside)
            if NORMS:
                norm += tl.sum(tl.sum(square, 1), 0)
                if FIRST:
                    square = tl.zeros((BD, BR), tl.float32)
                    for start in range(0, d, BD):
                        k = start + tl.arange(0, BD)
                        within = here[:, None] & (k < d)[None, :]
                        values = tl.load(x + place * d + k[None, :], mask=within, other=0.0).to(tl.float32)
                        values = tl.trans(values)
                        gradient = multiply(values, gate_slope, tl.zeros((BD, BR), tl.float32), ROUGH)
                        square += gradient * gradient
                        gradient = multiply(values, up_slope, tl.zeros((BD, BR), tl.float32), ROUGH)
                        square += gradient * gradient
                    norm += tl.sum(tl.sum(square, 1), 0)
                tl.store(norms + group.to(tl.int64) * parts + cell + tl.program_id(1), norm)
    if loss is not None and leads:
        per_row = total_share if row_loss is not None else total_share * d
        tl.store(loss + group, tl.where(total_share > 0.0, total_loss / tl.maximum(per_row, 1.0), 0.0))
