"""What several kernels need, as functions inside them. Importing this module imports Triton."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = [
    "INTERPRET",
    "amd_options",
    "contiguous",
    "finite",
    "hash_bits",
    "lists",
    "multiply",
    "options",
    "padded",
    "precision",
    "rounded",
    "rows_of",
    "silu",
    "unsound",
]

INTERPRET = tl.constexpr(triton.knobs.runtime.interpret)


def precision(rough: bool = False) -> str:
    """How float32 factors are multiplied: three TF32 products on NVIDIA, which keep float32's bits; exactly on AMD.

    `rough` is one TF32 product, for sums of squares that only scale a step.
    """
    return "ieee" if torch.version.hip else "tf32" if rough else "tf32x3"


def padded(size: int, low: int = 16, high: int = 128) -> int:
    """The power of two that holds `size`, between the bounds."""
    return min(max(triton.next_power_of_2(size), low), high)


def options(rows: int, stages: int) -> dict[str, int]:
    """Compiler options of a product of `rows`-row tiles."""
    chosen = {"num_warps": 4 if rows < 64 else 8, "num_stages": stages}
    return amd_options(chosen) if torch.version.hip else chosen


def amd_options(chosen: dict[str, int]) -> dict[str, int]:
    """The same on AMD's GPUs.

    Their warps have twice the threads: half as many leave a thread as much to load at once, 128 bits even of a small
    tile. And their compiler pipelines by registers, and wants two stages.
    """
    return {"num_warps": max(chosen["num_warps"] // 2, 1), "num_stages": min(chosen["num_stages"], 2)}


def contiguous(*tensors: Tensor) -> None:
    """Refuse tensors that a kernel could only use, or step in place, if their elements were neighbours.

    Raises:
        ValueError: one of them is not contiguous.
    """
    for tensor in tensors:
        if not tensor.is_contiguous():
            raise ValueError(
                f"a kernel's tensors must be contiguous, got strides {tensor.stride()}; call .contiguous()"
            )


def lists(*tensors: Tensor) -> tuple[list[Tensor], int]:
    """Lists [rows, width] that a kernel can go through with one distance between rows, and that distance.

    They may be the first columns of wider ones: only where they lie otherwise are they copied.
    """
    pitch = tensors[0].stride(0)
    if not all(tensor.stride(1) == 1 and tensor.stride(0) == pitch for tensor in tensors):
        tensors, pitch = tuple(tensor.contiguous() for tensor in tensors), tensors[0].shape[1]
    return list(tensors), pitch


@triton.jit
def finite(values):
    """Whether they are numbers, and not infinite."""
    return tl.abs(values) < float("inf")


@triton.jit
def unsound(slot, norm, group, rows, lanes, CHUNK: tl.constexpr):
    """How many rows of a slot have a norm that is not finite."""
    total = tl.full((), 0, tl.int32)
    for start in range(0, lanes if slot is None else rows, CHUNK):
        place = start + tl.arange(0, CHUNK)
        if slot is None:
            row = group * lanes + place
            mine = place < lanes
        else:
            row = place
            mine = tl.load(slot + row, mask=row < rows, other=-1) == group
        total += tl.sum((finite(tl.load(norm + row, mask=mine, other=0.0)) == 0).to(tl.int32), 0)
    return total


@triton.jit
def rounded(values, dtype: tl.constexpr):
    """Values rounded to nearest, ready to be stored as `dtype`."""
    if INTERPRET:
        # The interpreter truncates casts to bfloat16: round on the bits, and leave it nothing to cut off.
        if dtype == tl.bfloat16:
            bits = values.to(tl.float32).to(tl.uint32, bitcast=True)
            bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
            return bits.to(tl.uint32).to(tl.float32, bitcast=True)
        else:
            return values.to(dtype)
    else:
        return values.to(dtype)


@triton.jit
def multiply(left, right, total, PRECISION: tl.constexpr):
    """Adds left · right to total, in float32. Factors of different types meet in float32: nothing is rounded."""
    if INTERPRET:
        # It would multiply bfloat16's bits as integers.
        return tl.dot(left.to(tl.float32), right.to(tl.float32), total, input_precision="ieee")
    else:
        if left.dtype == right.dtype:
            return tl.dot(left, right, total, input_precision=PRECISION)
        else:
            return tl.dot(left.to(tl.float32), right.to(tl.float32), total, input_precision=PRECISION)


@triton.jit
def silu(values):
    """The gate: x · sigmoid(x)."""
    return values * tl.sigmoid(values)


@triton.jit
def rows_of(slot, group, first, rows, lanes, BM: tl.constexpr, CHUNK: tl.constexpr):
    """Ids of the rows of `group`, from its `first`-th on: [BM]; `rows`, which is no row, in places that stay empty.

    Without `slot` the rows of a group are `lanes` neighbours. With it they are wherever `slot` says: every program
    looks for its own, so that no list has to be made, sorted or sent to the host.
    """
    place = first + tl.arange(0, BM)
    if slot is None:
        return tl.where(place < lanes, group * lanes + place, rows)
    else:
        found = tl.zeros((BM,), tl.int32)
        seen = 0
        for start in range(0, rows, CHUNK):
            row = start + tl.arange(0, CHUNK)
            mine = (tl.load(slot + row, mask=row < rows, other=-1) == group).to(tl.int32)
            rank = seen + tl.cumsum(mine, 0) - 1
            here = (rank[None, :] == place[:, None]) & (mine[None, :] > 0)
            found += tl.sum(tl.where(here, row[None, :] + 1, 0), 1)
            seen += tl.sum(mine, 0)
        return tl.where(found > 0, found - 1, rows)


@triton.jit
def hash_bits(bits):
    """The hash of `esamp.distillers.storage`: two rounds of multiply and shift on int32 words."""
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D
    bits = (bits ^ (bits >> 16)) * -0x7B935975
    return bits ^ (bits >> 15)
