"""Adam for a bank, from factors of the gradients: every weight and moment is read once and written once."""

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

from esamp.kernels.grouped_mlp.triton import Activations, row_tile
from esamp.kernels.grouped_mlp_update.back_down import shares
from esamp.kernels.grouped_mlp_update.gradients import gradient_tile, measure
from esamp.kernels.grouped_mlp_update.verdict import Books, failed, keep_books, restart
from esamp.kernels.launch import launch
from esamp.kernels.primitives import hash_bits, options, precision, rounded

__all__ = ["Factors", "Slots", "adam", "adam_step", "one_minus_power", "stochastic"]

_CHUNK = 128
# Rows and columns of a tile of a weight.
_TA, _TB = 32, 64


@dataclass(frozen=True)
class Slots:
    """What Adam knows of each slot, and its settings; all on the device, so that a replayed graph sees them change.

    Attributes:
        count: steps of each slot, float32 [slots].
        rounds: steps of the bank since each slot was new, int32 [slots]; None: weights are not rounded stochastically.
        settings: learning rate, β₁, β₂, eps, ln β₁, ln β₂, largest norm of a slot's gradient: float32 [7].
        books: what the bank keeps of each slot; None: nothing, and no slot is reset.
    """

    count: Tensor
    rounds: Tensor | None
    settings: Tensor
    books: Books | None = None


@dataclass(frozen=True)
class Factors:
    """Gradient Aᵀ B of one weight [slots, a, b]: A [rows, a], B [rows, b]."""

    left: Tensor
    right: Tensor


def adam_step(
    activations: Activations,
    alive: Tensor,
    weights: Sequence[Tensor],
    factors: Sequence[Factors],
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    norms: Tensor | None,
    loss: Tensor,
    slots: Slots,
) -> Tensor:
    """Step the weights in place: gradients are formed from their factors, clipped by the norm that the parts give.

    With books they are kept, slots that failed are reset, and the losses returned are NaN where nobody lives. Without
    parts, which is where a slot has more than a tile of rows, they are formed once more before, for the norm.
    """
    bm, groups, exact = row_tile(activations.lanes), weights[0].shape[0], weights[0].dtype == torch.float32
    heights, widths = tuple(w.shape[1] for w in weights), tuple(w.shape[2] for w in weights)
    strips = [triton.cdiv(height, _TA) for height in heights]
    tiles = [strip * triton.cdiv(width, _TB) for strip, width in zip(strips, widths, strict=True)]
    common = {"slot": activations.slot, "alive": alive, "left": tuple(f.left for f in factors)}
    common |= {"right": tuple(f.right for f in factors), "rows": alive.shape[0], "lanes": activations.lanes}
    common |= {"HEIGHTS": heights, "WIDTHS": widths, "BM": bm, "TA": _TA, "TB": _TB, "CHUNK": _CHUNK}
    if norms is None:
        norms = torch.empty(groups, sum(strips), dtype=torch.float32, device=alive.device)
        own = {"norms": norms, "parts": norms.shape[1], "STRIPS": tuple(strips), "ROUGH": precision(rough=True)}
        launch(measure, (groups, sum(strips)), common | own, **options(bm, stages=1))
    own = {"weights": tuple(weights), "first": tuple(first), "second": tuple(second), "norms": norms}
    own |= {"count": slots.count, "rounds": slots.rounds, "settings": slots.settings, "parts": norms.shape[1]}
    reported = loss if slots.books is None else torch.empty_like(loss)
    own |= {"loss": loss, "reported": reported} | Books.arguments(slots.books)
    own |= {
        "TILES": tuple(tiles),
        "ONE": activations.lanes <= bm,
        "PARTS": triton.next_power_of_2(norms.shape[1]),
        "PRECISION": precision(),
    }
    # A thread holds its share of a tile of the weight, moments and all; to round it takes registers besides.
    launch(adam, (groups, sum(tiles)), common | own, **options(bm if exact else _TB, stages=1))
    return reported


@triton.jit
def one_minus_power(log_base, exponent):
    """1 - base^exponent, which a plain power would spoil for bases near 1."""
    z = log_base * exponent
    series = -z * (1.0 + z * (0.5 + z * (1.0 / 6 + z * (1.0 / 24 + z * (1.0 / 120 + z * (1.0 / 720))))))
    return tl.where(z > -0.25, series, 1.0 - tl.exp(z))


@triton.jit
def stochastic(values, place, rounds):
    """float32 to bfloat16 as `esamp.distillers.storage.stochastic_round` does it, bit for bit."""
    noise = hash_bits(place + rounds * 0x2545F491) & 0xFFFF
    bits = (values.to(tl.int32, bitcast=True) + noise) & -65536
    finite = tl.abs(values) < float("inf")
    return tl.where(finite, bits.to(tl.float32, bitcast=True), values)


@triton.jit(do_not_specialize=["rows", "lanes", "parts"])
def adam(
    slot,
    alive,
    weights,
    first,
    second,
    left,
    right,
    norms,
    loss,
    count,
    rounds,
    settings,
    starts,
    row_norm,
    updates,
    resets,
    reported,
    rows,
    lanes,
    parts,
    HEIGHTS: tl.constexpr,
    WIDTHS: tl.constexpr,
    TILES: tl.constexpr,
    ONE: tl.constexpr,
    BM: tl.constexpr,
    TA: tl.constexpr,
    TB: tl.constexpr,
    CHUNK: tl.constexpr,
    PARTS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One program = (slot, a tile of one weight): its gradient Aᵀ B, clipped, and Adam's step, all in registers.

    With books a slot that has failed gets its start instead, and the first program of a slot writes them.
    """
    group = tl.program_id(0)
    living = shares(slot, alive, group, rows, lanes, CHUNK)
    fails = False
    if updates is not None:
        fails = failed(slot, row_norm, loss, group, rows, lanes, CHUNK)
        if tl.program_id(1) == 0:
            keep_books(loss, reported, updates, resets, count, rounds, group, living, fails)
        if fails:
            restart(weights, first, second, starts, group, HEIGHTS, WIDTHS, TILES, TA, TB)
    if (living > 0.0) & (fails == 0):
        cell = tl.arange(0, PARTS)
        norm = tl.sqrt(tl.sum(tl.load(norms + group.to(tl.int64) * parts + cell, mask=cell < parts, other=0.0), 0))
        steps = tl.load(count + group)
        rate = tl.load(settings) / one_minus_power(tl.load(settings + 4), steps)
        root = tl.sqrt(one_minus_power(tl.load(settings + 5), steps))
        keep_first, keep_second = 1.0 - tl.load(settings + 1), 1.0 - tl.load(settings + 2)
        eps = tl.load(settings + 3) * root
        # NaN must stay NaN: the bank resets a slot whose loss is not finite.
        ratio = tl.load(settings + 6) / tl.where(norm < 1.1754944e-38, 1.1754944e-38, norm)
        clip = tl.where(ratio > 1.0, 1.0, ratio)
        before = 0
        for index in tl.static_range(len(TILES)):
            tile = tl.program_id(1) - before
            if (tile >= 0) & (tile < TILES[index]):
                across = (WIDTHS[index] + TB - 1) // TB
                i = (tile // across) * TA + tl.arange(0, TA)
                j = (tile % across) * TB + tl.arange(0, TB)
                inside = (i < HEIGHTS[index])[:, None] & (j < WIDTHS[index])[None, :]
                gradient = clip * gradient_tile(
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
                    ONE,
                    BM,
                    TA,
                    TB,
                    CHUNK,
                    PRECISION,
                )
                element = i[:, None] * WIDTHS[index] + j[None, :]
                offset = group.to(tl.int64) * (HEIGHTS[index] * WIDTHS[index]) + element
                m = tl.load(first[index] + offset, mask=inside, other=0.0)
                v = tl.load(second[index] + offset, mask=inside, other=0.0)
                m += keep_first * (gradient - m)
                v += keep_second * (gradient * gradient - v)
                tl.store(first[index] + offset, m, mask=inside)
                tl.store(second[index] + offset, v, mask=inside)
                kind = weights[index].dtype.element_ty
                w = tl.load(weights[index] + offset, mask=inside, other=0.0).to(tl.float32)
                w -= rate * root * m / (tl.sqrt(v) + eps)
                if rounds is not None:
                    w = stochastic(w, element, tl.load(rounds + group))
                tl.store(weights[index] + offset, rounded(w, kind), mask=inside)
            before += TILES[index]
