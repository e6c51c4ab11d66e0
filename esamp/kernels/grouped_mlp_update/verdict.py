"""After an update: a slot that has failed is as good as new again, and the bank's books are right."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from esamp.kernels.primitives import finite, unsound

__all__ = ["Books", "failed", "keep_books", "restart"]


@dataclass(frozen=True)
class Books:
    """What a bank keeps of its slots, stepped in place.

    Attributes:
        starts: what the weights of every slot start from, without the slots' axis.
        norm: ‖hᴸ - ĥᴸ‖ of each row; a slot with one that is not finite has failed, as one with such a loss has. None:
            the loss alone decides.
        updates: how often each slot has learnt since it was new, int64.
        resets: how often each slot has failed, int64.
    """

    starts: Sequence[Tensor]
    norm: Tensor | None
    updates: Tensor
    resets: Tensor

    @staticmethod
    def arguments(books: Books | None) -> dict[str, Any]:
        """As a kernel takes them."""
        if books is None:
            return dict.fromkeys(("starts", "row_norm", "updates", "resets"))
        own = {"starts": tuple(books.starts), "row_norm": books.norm}
        return own | {"updates": books.updates, "resets": books.resets}


@triton.jit
def failed(slot, norm, loss, group, rows, lanes, CHUNK: tl.constexpr):
    """The slot's loss, or the error of one of its rows, is not finite."""
    fails = finite(tl.load(loss + group)) == 0
    if norm is not None:
        fails = fails | (unsound(slot, norm, group, rows, lanes, CHUNK) > 0)
    return fails


@triton.jit
def keep_books(loss, reported, updates, resets, count, rounds, group, living, fails):
    """Counts of one slot. Nobody else reads `count` and `rounds` of a slot that has failed."""
    tl.store(reported + group, tl.where(living > 0.0, tl.load(loss + group), float("nan")))
    learnt = tl.load(updates + group) + (living > 0.0).to(tl.int64)
    tl.store(updates + group, tl.where(fails, 0, learnt))
    if fails:
        tl.store(resets + group, tl.load(resets + group) + 1)
        tl.store(count + group, 0.0)
        if rounds is not None:
            tl.store(rounds + group, 0)


@triton.jit
def restart(
    weights,
    first,
    second,
    starts,
    group,
    HEIGHTS: tl.constexpr,
    WIDTHS: tl.constexpr,
    TILES: tl.constexpr,
    TA: tl.constexpr,
    TB: tl.constexpr,
):
    """This program's tile of one weight: its start, and moments of zero."""
    before = 0
    for index in tl.static_range(len(TILES)):
        tile = tl.program_id(1) - before
        if (tile >= 0) & (tile < TILES[index]):
            across = (WIDTHS[index] + TB - 1) // TB
            i = (tile // across) * TA + tl.arange(0, TA)
            j = (tile % across) * TB + tl.arange(0, TB)
            inside = (i < HEIGHTS[index])[:, None] & (j < WIDTHS[index])[None, :]
            element = i[:, None] * WIDTHS[index] + j[None, :]
            offset = group.to(tl.int64) * (HEIGHTS[index] * WIDTHS[index]) + element
            tl.store(weights[index] + offset, tl.load(starts[index] + element, mask=inside, other=0.0), mask=inside)
            tl.store(first[index] + offset, tl.zeros((TA, TB), tl.float32), mask=inside)
            tl.store(second[index] + offset, tl.zeros((TA, TB), tl.float32), mask=inside)
        before += TILES[index]
