"""Backward pass, clipping and Adam for a bank of gated blocks: two launches a block, no gradient is ever stored.

The gradient of a weight is a product Aᵀ B of activations and errors of a slot's few rows: far less to keep than the
gradient itself. It is formed twice, tile by tile in registers: for its norm, which clipping needs, and for the step.
"""

# Triton's launch arguments are dictionaries of anything.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import triton
from torch import Tensor

from esamp.kernels.grouped_mlp.normalised import LAYER_EPS
from esamp.kernels.grouped_mlp.triton import RMS_EPS, Activations, row_tile
from esamp.kernels.grouped_mlp_update.adam import Factors, Slots, adam_step
from esamp.kernels.grouped_mlp_update.back_down import back_down
from esamp.kernels.grouped_mlp_update.back_gate_up import back_gate_up
from esamp.kernels.grouped_mlp_update.back_normalise import back_normalise
from esamp.kernels.launch import launch
from esamp.kernels.primitives import contiguous, options, precision

__all__ = ["backward", "step", "step_normalised"]

_CHUNK = 128
_INNER = 32
# Gradients' squares are added up tile by tile beside the products: wider tiles, or more in flight, spill on some GPUs.
_COLUMNS = 32


@dataclass(frozen=True)
class _Top:
    """What the last block starts from: its output and the target, or errors that are known already.

    Attributes:
        error: of the last block's output [rows, d]; written where there is a target, else read.
        predicted: the last block's output.
        target: what it should have been.
        row_loss: each row's loss [rows], where the errors are known.
        scale_rows: each row's shares of the gradients of scale and bias [2, rows, d].
    """

    error: Tensor
    predicted: Tensor | None = None
    target: Tensor | None = None
    row_loss: Tensor | None = None
    scale_rows: Tensor | None = None


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
    return adam_step(activations, alive.contiguous(), weights, factors, first, second, norms, loss, slots)


def step_normalised(
    activations: Activations,
    target: Tensor,
    alive: Tensor,
    weights: Sequence[Tensor],
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    slots: Slots,
) -> Tensor:
    """The same for one block between normalisations; weights and moments are those of gate_up, down, scale and bias."""
    contiguous(*weights, *first, *second, slots.count, slots.settings)
    gate_up, down, scale, bias = weights
    alive = alive.contiguous()
    factors, norms, loss = _through(
        [gate_up],
        [down],
        activations,
        alive,
        slots,
        _normalised_top(activations, target.contiguous(), alive, scale, bias),
    )
    # A vector is a matrix of one row, and 1 · b a product like the others.
    weights, first, second = (_matrices(tensors, 2) for tensors in (weights, first, second))
    if slots.books is not None:
        slots = replace(slots, books=replace(slots.books, starts=_matrices(slots.books.starts, 1)))
    return adam_step(activations, alive, weights, factors, first, second, norms, loss, slots)


def backward(
    activations: Activations,
    target: Tensor,
    alive: Tensor,
    gate_up: Sequence[Tensor],
    down: Sequence[Tensor],
    slots: Slots,
) -> tuple[list[Factors], Tensor | None, Tensor]:
    """Factors of every gradient, parts of each slot's squared gradient norm [slots, parts], and each slot's loss.

    There are no parts where a slot has more rows than a tile.
    """
    top = _Top(_empty_like(target), activations.hidden[-1], target.contiguous())
    return _through(gate_up, down, activations, alive.contiguous(), slots, top)


def _normalised_top(activations: Activations, target: Tensor, alive: Tensor, scale: Tensor, bias: Tensor) -> _Top:
    (rows, d), values = target.shape, activations.hidden[-1]
    error, scale_rows = _empty_like(target), _empty_like(target, 2, rows, d)
    row_loss = _empty_like(target, rows)
    arguments = {"slot": activations.slot, "alive": alive, "values": values, "scale": scale, "bias": bias}
    arguments |= {"target": target, "error": error, "scale_rows": scale_rows, "row_loss": row_loss, "rows": rows}
    arguments |= {"lanes": activations.lanes, "slots": scale.shape[0], "d": d, "WIDTH": triton.next_power_of_2(d)}
    arguments |= {"EPS": LAYER_EPS, "CHUNK": _CHUNK}
    launch(back_normalise, (rows,), arguments, num_warps=8 if d > 2048 else 4)
    return _Top(error, row_loss=row_loss, scale_rows=scale_rows)


def _through(
    gate_up: Sequence[Tensor],
    down: Sequence[Tensor],
    activations: Activations,
    alive: Tensor,
    slots: Slots,
    top: _Top,
) -> tuple[list[Factors], Tensor | None, Tensor]:
    """Errors through the blocks, the last one first."""
    hidden, error = activations.hidden, top.error
    (rows, d), blocks = error.shape, len(down)
    groups, inner, _ = down[0].shape
    narrow, wide, bm = triton.cdiv(inner, _INNER), triton.cdiv(d, _COLUMNS), row_tile(activations.lanes)
    measured = activations.lanes <= bm
    parts = blocks * narrow + (blocks - 1) * wide if measured else 1
    norms, loss, cell = _empty_like(error, groups, parts), _empty_like(error, groups), 0
    factors: list[Factors] = []
    if top.scale_rows is not None:
        factors = [Factors(alive, part) for part in top.scale_rows]
    common = {"slot": activations.slot, "alive": alive, "norms": norms, "rows": rows, "lanes": activations.lanes}
    common |= {"d": d, "inner": inner, "parts": parts, "NORMS": measured, "BM": bm, "BR": _INNER, "BD": _COLUMNS}
    common |= {"CHUNK": _CHUNK, "PRECISION": precision(), "ROUGH": precision(rough=True)}
    for block in reversed(range(blocks)):
        above = top if block + 1 == blocks else _Top(error)
        ends = above is top
        active, slopes = _empty_like(error, rows, inner), _empty_like(error, rows, 2 * inner)
        own = {"x": hidden[block], "gates": activations.gates[block], "weight": down[block], "error": error}
        own |= {"squares": activations.squares if block == 0 else None, "active": active, "slopes": slopes}
        own |= {"predicted": above.predicted, "target": above.target, "row_loss": above.row_loss}
        own |= {"scale_rows": above.scale_rows if measured else None, "loss": loss if ends else None}
        own |= {"count": slots.count if ends else None, "rounds": slots.rounds if ends else None, "cell": cell}
        own |= {"SPLITS": activations.gates[block].shape[0], "FIRST": block == 0, "EPS": RMS_EPS}
        launch(back_down, (groups, narrow), common | own, **options(bm, stages=1))
        factors[:0] = [Factors(hidden[block], slopes), Factors(active, error)]
        cell += narrow
        if block > 0:
            below = _empty_like(error)
            own = {"x": hidden[block], "weight": gate_up[block], "error": error, "slopes": slopes, "below": below}
            # Squares beside the product ask for twice the warps. Without them four leave a thread the registers that
            # the loop over tiles of rows needs; of eight, some compilers grant each 128 and spill.
            warps = options(2 * bm if measured else 32, stages=1)
            launch(back_gate_up, (groups, wide), common | own | {"cell": cell}, **warps)
            error, cell = below, cell + wide
    return factors, norms if measured else None, loss


def _matrices(tensors: Sequence[Tensor], vector: int) -> list[Tensor]:
    """Tensors of `vector` dimensions as matrices of one row; the others are some already."""
    return [tensor.unsqueeze(vector - 1) if tensor.dim() == vector else tensor for tensor in tensors]


def _empty_like(tensor: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape or tensor.shape, dtype=torch.float32, device=tensor.device)
