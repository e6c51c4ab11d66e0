"""Candidates by min-p in two passes over the logits, the second of them from the cache: nothing is sorted."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from esamp.kernels.launch import launch

__all__ = ["run", "select"]

_BLOCK = 4096


def run(logits: Tensor, temperature: Tensor, min_p: float, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Ids, reference and mask [rows, width], count [rows], and log Σ exp(z / T) of each row."""
    rows, vocabulary = logits.shape
    device = logits.device
    ids = torch.empty(rows, width, dtype=torch.int64, device=device)
    reference = torch.empty(rows, width, dtype=torch.float32, device=device)
    mask = torch.empty(rows, width, dtype=torch.bool, device=device)
    count = torch.empty(rows, dtype=torch.int64, device=device)
    log_mass = torch.empty(rows, dtype=torch.float32, device=device)
    arguments = {
        "logits": logits.contiguous(),
        "temperature": temperature.reshape(-1),
        "ids": ids,
        "reference": reference,
    }
    arguments |= {"mask": mask.view(torch.int8), "count": count, "log_mass": log_mass, "min_p": float(min_p)}
    arguments |= {"vocabulary": vocabulary, "width": width, "BLOCK": min(_BLOCK, triton.next_power_of_2(vocabulary))}
    launch(select, (rows,), arguments, num_warps=8, num_stages=3)
    return ids, reference, mask, count, log_mass


@triton.jit(do_not_specialize=["width"])
def select(logits, temperature, ids, reference, mask, count, log_mass, min_p, vocabulary, width, BLOCK: tl.constexpr):
    """One program = one row: its largest logit and its mass, then what is at least min_p times as probable."""
    row = tl.program_id(0).to(tl.int64)
    start_of_row = logits + row * vocabulary
    heat = tl.load(temperature + row)
    # Finite, so that a block of nothing but -inf leaves no NaN behind.
    top = tl.full((), -3.0e38, tl.float32)
    mass = tl.full((), 0.0, tl.float32)
    for start in range(0, vocabulary, BLOCK):
        token = start + tl.arange(0, BLOCK)
        z = tl.load(start_of_row + token, mask=token < vocabulary, other=float("-inf")).to(tl.float32) / heat
        higher = tl.maximum(top, tl.max(z, 0))
        mass = mass * tl.exp(top - higher) + tl.sum(tl.exp(z - higher), 0)
        top = higher
    tl.store(log_mass + row, top + tl.log(mass))
    found = tl.full((), 0, tl.int32)
    for start in range(0, vocabulary, BLOCK):
        token = start + tl.arange(0, BLOCK)
        z = tl.load(start_of_row + token, mask=token < vocabulary, other=float("-inf")).to(tl.float32)
        kept = (tl.exp(z / heat - top) >= min_p).to(tl.int32)
        number = tl.sum(kept, 0)
        if number > 0:
            place = found + tl.cumsum(kept, 0) - 1
            fits = (kept > 0) & (place < width)
            target = row * width + place
            tl.store(ids + target, token.to(tl.int64), mask=fits)
            tl.store(reference + target, z, mask=fits)
            tl.store(mask + target, kept.to(tl.int8), mask=fits)
            found += number
    tl.store(count + row, found.to(tl.int64))
    # Empty places hold token 0, as everywhere.
    first = tl.load(start_of_row).to(tl.float32)
    for start in range(0, width, BLOCK):
        place = start + tl.arange(0, BLOCK)
        empty = (place >= found) & (place < width)
        target = row * width + place
        tl.store(ids + target, tl.zeros((BLOCK,), tl.int64), mask=empty)
        tl.store(reference + target, tl.zeros((BLOCK,), tl.float32) + first, mask=empty)
        tl.store(mask + target, tl.zeros((BLOCK,), tl.int8), mask=empty)
