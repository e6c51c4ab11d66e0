"""The Gumbel-max draw in one launch."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from esamp.kernels.launch import launch
from esamp.kernels.noise import gumbel
from esamp.kernels.primitives import lists

__all__ = ["pick", "run"]

_CANDIDATES = 128


def run(log_probs: Tensor, ids: Tensor | None, seed: int, sample: Tensor, step: Tensor) -> Tensor:
    """Place of each row's candidate; without `ids` a place is its token."""
    rows, width = log_probs.shape
    place = torch.empty(rows, dtype=torch.int64, device=log_probs.device)
    (log_probs,), pitch = lists(log_probs)
    arguments = {"log_probs": log_probs, "pitch": pitch, "ids": None, "ids_pitch": 0}
    if ids is not None:
        (ids,), ids_pitch = lists(ids)
        arguments |= {"ids": ids, "ids_pitch": ids_pitch}
    arguments |= {
        "sample": sample.contiguous(),
        "step": step.contiguous(),
        "seed": seed,
        "place": place,
        "width": width,
        "BC": _CANDIDATES,
    }
    launch(pick, (rows,), arguments, num_warps=1)
    return place


@triton.jit(do_not_specialize=["seed", "width", "pitch", "ids_pitch"])
def pick(log_probs, ids, sample, step, seed, place, width, pitch, ids_pitch, BC: tl.constexpr):
    """One program = one row: where log-probability and noise are largest together."""
    row = tl.program_id(0).to(tl.int64)
    best = tl.full((), float("-inf"), tl.float32)
    best_place = tl.full((), 0, tl.int32)
    for start in range(0, width, BC):
        c = start + tl.arange(0, BC)
        token = c if ids is None else tl.load(ids + row * ids_pitch + c, mask=c < width, other=0)
        score = tl.load(log_probs + row * pitch + c, mask=c < width, other=float("-inf")).to(tl.float32)
        score += gumbel(token, tl.load(sample + row), tl.load(step + row), seed)
        value, index = tl.max(score, 0, return_indices=True)
        better = value > best
        best = tl.where(better, value, best)
        best_place = tl.where(better, start + index, best_place)
    tl.store(place + row, best_place.to(tl.int64))
