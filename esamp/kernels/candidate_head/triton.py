"""Logits of candidates, and what is made of them, in one launch."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from esamp.kernels.launch import launch
from esamp.kernels.noise import gumbel
from esamp.kernels.primitives import contiguous, finite, lists

__all__ = ["Draw", "Mix", "run", "run_errors", "score"]

_CANDIDATES = 8


@dataclass(frozen=True)
class Mix:
    """a·z - b·ẑ, divided by T where there is a temperature; without `a` it is 1 + b."""

    reference: Tensor
    b: Tensor
    a: Tensor | None = None
    temperature: Tensor | None = None


@dataclass(frozen=True)
class Draw:
    """Keys of the noise: seed of the call, sample and step of each row."""

    seed: int
    sample: Tensor
    step: Tensor


def run(
    hidden: Tensor,
    weight: Tensor,
    ids: Tensor,
    mask: Tensor,
    bias: Tensor | None,
    scale: float,
    softcap: float | None,
    mix: Mix | None = None,
    draw: Draw | None = None,
    deep: Tensor | None = None,
    norm: Tensor | None = None,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Logits [rows, candidates]; with `draw` also the place of the drawn candidate and its log-probability.

    With `deep`, ‖deep - hidden‖ of each row is written to `norm`: NaN where `hidden` is not finite.
    """
    contiguous(weight)
    rows, width = ids.shape
    hidden, deep = hidden.contiguous(), None if deep is None else deep.contiguous()
    (ids, mask), pitch = lists(ids, mask)
    d, device = hidden.shape[1], hidden.device
    out = torch.empty(rows, width, dtype=torch.float32, device=device)
    place = log_prob = None
    if draw is not None:
        place = torch.empty(rows, dtype=torch.int64, device=device)
        log_prob = torch.empty(rows, dtype=torch.float32, device=device)
    arguments = {"hidden": hidden, "weight": weight, "bias": bias, "ids": ids, "mask": mask.view(torch.int8)}
    arguments |= {"deep": deep, "norm": norm, "pitch": pitch}
    arguments |= {"reference": None, "a": None, "b": None, "temperature": None, "sample": None, "step": None}
    if mix is not None:
        flat = None if mix.temperature is None else mix.temperature.reshape(-1)
        arguments |= {"reference": mix.reference.contiguous(), "a": mix.a, "b": mix.b, "temperature": flat}
    if draw is not None:
        arguments |= {"sample": draw.sample, "step": draw.step}
    arguments |= {
        "seed": 0 if draw is None else draw.seed,
        "out": out,
        "place": place,
        "log_prob": log_prob,
        "width": width,
        "d": d,
    }
    arguments |= {"scale": float(scale), "cap": float(softcap or 1.0), "CAPPED": softcap is not None}
    arguments |= {"BC": _CANDIDATES, "BK": min(512, triton.next_power_of_2(d))}
    # A draw needs all of a row's candidates in one program; otherwise they are spread.
    grid = (rows, 1 if draw is not None else max(triton.cdiv(width, _CANDIDATES), 1))
    launch(score, grid, arguments, num_warps=4, num_stages=3)
    return out, place, log_prob


def run_errors(
    deep: Tensor,
    hidden: Tensor,
    weight: Tensor,
    ids: Tensor,
    mask: Tensor,
    bias: Tensor | None,
    scale: float,
    softcap: float | None,
) -> tuple[Tensor, Tensor]:
    """Logits of `hidden` [rows, candidates], and ‖deep - hidden‖ of each row."""
    norm = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
    return run(hidden, weight, ids, mask, bias, scale, softcap, deep=deep, norm=norm)[0], norm


@triton.jit
def distance(hidden, deep, norm, row, d, BK: tl.constexpr):
    """The norm of a row's error."""
    square = tl.zeros((BK,), tl.float32)
    broken = tl.zeros((BK,), tl.int32)
    for first in range(0, d, BK):
        k = first + tl.arange(0, BK)
        vector = tl.load(hidden + row * d + k, mask=k < d, other=0.0).to(tl.float32)
        gap = tl.load(deep + row * d + k, mask=k < d, other=0.0).to(tl.float32) - vector
        square += gap * gap
        broken += (finite(vector) == 0).to(tl.int32)
    size = tl.sqrt(tl.sum(square, 0))
    tl.store(norm + row, tl.where(tl.sum(broken, 0) > 0, float("nan"), size))


@triton.jit(do_not_specialize=["seed", "width", "pitch"])
def score(  # noqa: C901  each `is None` is settled when the kernel is compiled
    hidden,
    weight,
    bias,
    ids,
    mask,
    deep,
    norm,
    reference,
    a,
    b,
    temperature,
    sample,
    step,
    seed,
    out,
    place,
    log_prob,
    width,
    pitch,
    d,
    scale,
    cap,
    CAPPED: tl.constexpr,
    BC: tl.constexpr,
    BK: tl.constexpr,
):
    """One program = (row, some of its candidates): dot products with their rows of W, then mix, temperature, draw."""
    row = tl.program_id(0).to(tl.int64)
    if deep is not None and tl.program_id(1) == 0:
        distance(hidden, deep, norm, row, d, BK)
    best = tl.full((), float("-inf"), tl.float32)
    best_place = tl.full((), 0, tl.int32)
    best_logit = tl.full((), float("-inf"), tl.float32)
    top = tl.full((), float("-inf"), tl.float32)
    mass = tl.full((), 0.0, tl.float32)
    for start in range(tl.program_id(1) * BC, width, tl.num_programs(1) * BC):
        c = start + tl.arange(0, BC)
        held = tl.load(mask + row * pitch + c, mask=c < width, other=0) != 0
        logit = tl.zeros((BC,), tl.float32)
        if tl.max(held.to(tl.int32), 0) > 0:
            token = tl.load(ids + row * pitch + c, mask=held, other=0)
            total = tl.zeros((BC, BK), tl.float32)
            for first in range(0, d, BK):
                k = first + tl.arange(0, BK)
                vector = tl.load(hidden + row * d + k, mask=k < d, other=0.0).to(tl.float32)
                matrix = tl.load(
                    weight + token.to(tl.int64)[:, None] * d + k[None, :],
                    mask=held[:, None] & (k < d)[None, :],
                    other=0.0,
                )
                total += matrix.to(tl.float32) * vector[None, :]
            logit = tl.sum(total, 1)
            if bias is not None:
                logit += tl.load(bias + token, mask=held, other=0.0).to(tl.float32)
            logit = logit * scale
            if CAPPED:
                logit = cap * (2.0 * tl.sigmoid(2.0 * logit / cap) - 1.0)
            if reference is not None:
                z = tl.load(reference + row * width + c, mask=held, other=0.0)
                weight_b = tl.load(b + row)
                # Without a: exactly z where b is 0.
                logit = z + weight_b * (z - logit) if a is None else tl.load(a + row) * z - weight_b * logit
            if temperature is not None:
                logit = logit / tl.load(temperature + row)
            logit = tl.where(held, logit, 0.0)
            if place is not None:
                noise = gumbel(token, tl.load(sample + row), tl.load(step + row), seed)
                masked = tl.where(held, logit, float("-inf"))
                value, index = tl.max(masked + noise, 0, return_indices=True)
                chosen = tl.sum(tl.where(tl.arange(0, BC) == index, logit, 0.0), 0)
                better = value > best
                best = tl.where(better, value, best)
                best_place = tl.where(better, start + index, best_place)
                best_logit = tl.where(better, chosen, best_logit)
                higher = tl.maximum(top, tl.max(masked, 0))
                mass = mass * tl.exp(top - higher) + tl.sum(tl.exp(masked - higher), 0)
                top = higher
        tl.store(out + row * width + c, logit, mask=c < width)
    if place is not None:
        tl.store(place + row, best_place.to(tl.int64))
        if mass > 0.0:
            tl.store(log_prob + row, best_logit - top - tl.log(mass))
        else:
            # A row without candidates, as log_softmax has it.
            tl.store(log_prob + row, float("nan"))
