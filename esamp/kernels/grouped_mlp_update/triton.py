"""Backward pass, clipping and Adam for a bank of gated blocks: two launches a block, no gradient is ever stored.

The gradient of a weight is a product Aᵀ B of activations and errors of a slot's few rows: far less to keep than the
gradient itself. It is formed twice, tile by tile in registers: for its norm, which clipping needs, and for the step.
"""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from esamp.kernels.grouped_mlp.triton import Activations, row_tile
from esamp.kernels.grouped_mlp_update.adam import Factors, Slots, adam_step
from esamp.kernels.launch import launch
from esamp.kernels.primitives import contiguous, multiply, options, precision, rows_of, silu

__all__ = ["back_down", "back_gate_up", "backward", "step"]

_CHUNK = 128
_INNER = 32
# Gradients' squares are added up tile by tile beside the products: wider tiles, or more in flight, spill on some GPUs.
_COLUMNS = 32


def step(
    activations: Activations,
    target: Tensor,
    alive: Tensor,
    gate_up: Sequence[Tensor],
    down: Sequence[Tensor],
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    slots: Slots,
) -> Tensor:
    """One step of every slot with a living row; the moments are those of gate_up and down, block by block."""
    contiguous(*first, *second, slots.count, slots.settings)
    factors, norms, loss = backward(activations, target, alive, gate_up, down, slots)
    weights = [weight for pair in zip(gate_up, down, strict=True) for weight in pair]
    adam_step(activations, alive.contiguous(), weights, factors, first, second, norms, slots)
    return loss


def backward(
    activations: Activations,
    target: Tensor,
    alive: Tensor,
    gate_up: Sequence[Tensor],
    down: Sequence[Tensor],
    slots: Slots,
) -> tuple[list[Factors], Tensor, Tensor]:
    """Factors of every gradient, parts of each slot's squared gradient norm [slots, parts], and each slot's loss."""
    target, alive, hidden = target.contiguous(), alive.contiguous(), activations.hidden
    (rows, d), blocks = target.shape, len(down)
    groups, inner, _ = down[0].shape
    narrow, wide = triton.cdiv(inner, _INNER), triton.cdiv(d, _COLUMNS)

    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device=target.device)

    norms, loss = empty(groups, blocks * narrow + (blocks - 1) * wide), empty(groups)
    error, bm, cell = empty(rows, d), row_tile(activations.lanes), 0
    factors: list[Factors] = []
    common = {
        "slot": activations.slot,
        "alive": alive,
        "norms": norms,
        "rows": rows,
        "lanes": activations.lanes,
        "d": d,
        "inner": inner,
    }
    common |= {"parts": norms.shape[1], "BM": bm, "BR": _INNER, "BD": _COLUMNS, "CHUNK": _CHUNK}
    common |= {"PRECISION": precision(), "ROUGH": precision(rough=True)}
    for block in reversed(range(blocks)):
        last = block + 1 == blocks
        active, slopes = empty(rows, inner), empty(rows, 2 * inner)
        gates = activations.gates[block]
        own = {
            "x": hidden[block],
            "gates": gates,
            "weight": down[block],
            "error": error,
            "active": active,
            "slopes": slopes,
        }
        own |= {
            "predicted": hidden[-1] if last else None,
            "target": target if last else None,
            "loss": loss if last else None,
        }
        own |= {"count": slots.count if last else None, "rounds": slots.rounds if last else None}
        own |= {"cell": cell, "SPLITS": gates.shape[0], "FIRST": block == 0}
        launch(back_down, (groups, narrow), common | own, **options(bm, stages=1))
        factors[:0] = [Factors(hidden[block], slopes), Factors(active, error)]
        cell += narrow
        if block > 0:
            below = empty(rows, d)
            own = {
                "x": hidden[block],
                "weight": gate_up[block],
                "error": error,
                "slopes": slopes,
                "below": below,
                "cell": cell,
            }
            launch(back_gate_up, (groups, wide), common | own, **options(2 * bm, stages=1))
            error, cell = below, cell + wide
    return factors, norms, loss


@triton.jit(do_not_specialize=["rows", "lanes", "cell", "parts"])
def back_down(  # noqa: C901  each `is None` is settled when the kernel is compiled
    slot,
    alive,
    x,
    gates,
    weight,
    predicted,
    target,
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
    BM: tl.constexpr,
    BR: tl.constexpr,
    BD: tl.constexpr,
    CHUNK: tl.constexpr,
    PRECISION: tl.constexpr,
    ROUGH: tl.constexpr,
):
    """One program = (slot, BR of r): errors through W_down and SiLU; for the last block also the error and the loss.

    Writes SiLU(gate) ⊙ up (`active`) and the gradients of gate and up (`slopes`), and adds up the squares of what the
    gradients of W_down, and for the first block of W_gate_up, will be.
    """
    group = tl.program_id(0)
    leads = tl.program_id(1) == 0
    row = rows_of(slot, group, 0, rows, lanes, BM, CHUNK)
    share = tl.load(alive + row, mask=row < rows, other=0.0)
    total_share = tl.sum(share, 0)
    if loss is not None and leads:
        moved = (total_share > 0.0).to(tl.float32)
        tl.store(count + group, tl.load(count + group) + moved)
        tl.store(loss + group, 0.0)
        if rounds is not None:
            tl.store(rounds + group, tl.load(rounds + group) + 1)
    if total_share > 0.0:
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
        bend = silu(gate) * up
        tl.store(active + place * inner + r[None, :], bend, mask=inside)

        through = tl.zeros((BM, BR), tl.float32)
        square = tl.zeros((BR, BD), tl.float32)
        total_loss = tl.zeros((BM,), tl.float32)
        base = weight + group.to(tl.int64) * inner * d
        for start in range(0, d, BD):
            k = start + tl.arange(0, BD)
            within = here[:, None] & (k < d)[None, :]
            offset = place * d + k[None, :]
            if target is not None:
                gap = tl.load(predicted + offset, mask=within, other=0.0).to(tl.float32)
                gap -= tl.load(target + offset, mask=within, other=0.0).to(tl.float32)
                total_loss += tl.sum(gap * gap, 1) * share
                above = gap * (share * (2.0 / (total_share * d)))[:, None]
                if leads:
                    tl.store(error + offset, above, mask=within)
            else:
                above = tl.load(error + offset, mask=within, other=0.0)
            matrix = tl.load(
                base + r[:, None] * d + k[None, :], mask=(r < inner)[:, None] & (k < d)[None, :], other=0.0
            )
            through = multiply(above, tl.trans(matrix), through, PRECISION)
            gradient = multiply(tl.trans(bend), above, tl.zeros((BR, BD), tl.float32), ROUGH)
            square += gradient * gradient
        if loss is not None and leads:
            tl.store(loss + group, tl.sum(total_loss, 0) / (total_share * d))

        gentle = tl.sigmoid(gate)
        gate_slope = through * up * (gentle + gate * gentle * (1.0 - gentle))
        up_slope = through * gate * gentle
        offset = slopes + place * (2 * inner) + r[None, :]
        tl.store(offset, gate_slope, mask=inside)
        tl.store(offset + inner, up_slope, mask=inside)
        size = tl.sum(tl.sum(square, 1), 0)
        if FIRST:
            square = tl.zeros((BD, BR), tl.float32)
            for start in range(0, d, BD):
                k = start + tl.arange(0, BD)
                within = here[:, None] & (k < d)[None, :]
                values = tl.trans(tl.load(x + place * d + k[None, :], mask=within, other=0.0).to(tl.float32))
                gradient = multiply(values, gate_slope, tl.zeros((BD, BR), tl.float32), ROUGH)
                square += gradient * gradient
                gradient = multiply(values, up_slope, tl.zeros((BD, BR), tl.float32), ROUGH)
                square += gradient * gradient
            size += tl.sum(tl.sum(square, 1), 0)
        tl.store(norms + group.to(tl.int64) * parts + cell + tl.program_id(1), size)


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
    BM: tl.constexpr,
    BR: tl.constexpr,
    BD: tl.constexpr,
    CHUNK: tl.constexpr,
    PRECISION: tl.constexpr,
    ROUGH: tl.constexpr,
):
    """One program = (slot, BD columns of d): error below a block = error above it + slopes · W_gate_upᵀ."""
    group = tl.program_id(0)
    row = rows_of(slot, group, 0, rows, lanes, BM, CHUNK)
    here = tl.load(alive + row, mask=row < rows, other=0.0) > 0.0
    if tl.max(here.to(tl.int32), 0) > 0:
        place = row.to(tl.int64)[:, None]
        k = tl.program_id(1) * BD + tl.arange(0, BD)
        within = here[:, None] & (k < d)[None, :]
        values = tl.trans(tl.load(x + place * d + k[None, :], mask=within, other=0.0).to(tl.float32))
        total = tl.load(error + place * d + k[None, :], mask=within, other=0.0)
        square = tl.zeros((BD, BR), tl.float32)
        base = weight + group.to(tl.int64) * d * (2 * inner)
        for start in range(0, 2 * inner, BR):
            r = start + tl.arange(0, BR)
            known = r < 2 * inner
            slope = tl.load(slopes + place * (2 * inner) + r[None, :], mask=here[:, None] & known[None, :], other=0.0)
            matrix = tl.load(
                base + k[:, None] * (2 * inner) + r[None, :], mask=(k < d)[:, None] & known[None, :], other=0.0
            )
            total = multiply(slope, tl.trans(matrix), total, PRECISION)
            gradient = multiply(values, slope, tl.zeros((BD, BR), tl.float32), ROUGH)
            square += gradient * gradient
        tl.store(below + place * d + k[None, :], total, mask=within)
        tl.store(norms + group.to(tl.int64) * parts + cell + tl.program_id(1), tl.sum(tl.sum(square, 1), 0))
