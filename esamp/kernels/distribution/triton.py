"""Tilt, temperature, softmax and divergence of a row's candidates in one launch."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from esamp.kernels.launch import launch
from esamp.kernels.primitives import finite, lists, unsound

__all__ = ["distribute", "run_plain", "run_tilted"]

_CHUNK = 128
_CANDIDATES = 128


def run_plain(reference: Tensor, mask: Tensor, temperature: Tensor) -> Tensor:
    """Log softmax(z / T)."""
    names = ("distilled", "beta", "norm", "slot", "updates", "logits", "kl", "weight")
    return _run(reference, mask, temperature, dict.fromkeys(names) | {"lanes": 1, "needed": 0, "slope": 0.0})


def run_tilted(reference: Tensor, mask: Tensor, temperature: Tensor, tilt: Any) -> tuple[Tensor, ...]:
    """Logits and log-probabilities [rows, candidates], divergence and weight [rows]; `tilt` is a `Tilt`."""
    logits = torch.empty(reference.shape, dtype=torch.float32, device=reference.device)
    kl, weight = (torch.empty(len(reference), dtype=torch.float32, device=reference.device) for _ in range(2))
    own = {
        "distilled": tilt.distilled.contiguous(),
        "beta": tilt.beta.contiguous(),
        "norm": tilt.norm,
        "slot": tilt.slot,
    }
    own |= {"updates": tilt.updates, "lanes": tilt.lanes, "needed": tilt.warmup, "slope": float(tilt.slope)}
    own |= {"logits": logits, "kl": kl, "weight": weight}
    return logits, _run(reference, mask, temperature, own), kl, weight


def _run(reference: Tensor, mask: Tensor, temperature: Tensor, own: dict[str, Any]) -> Tensor:
    (rows, width), log_probs = (
        reference.shape,
        torch.empty(reference.shape, dtype=torch.float32, device=reference.device),
    )
    (reference, mask), pitch = lists(reference, mask)
    arguments = {
        "reference": reference,
        "mask": mask.view(torch.int8),
        "temperature": temperature.reshape(-1).contiguous(),
    }
    arguments |= own | {"log_probs": log_probs, "rows": rows, "width": width, "pitch": pitch}
    launch(distribute, (rows,), arguments | {"CHUNK": _CHUNK, "BC": _CANDIDATES}, num_warps=1)
    return log_probs


@triton.jit
def mixed(reference, distilled, row, c, held, width, pitch, strength, slope):
    """Z and z' of some of a row's candidates."""
    z = tl.load(reference + row * pitch + c, mask=held, other=0.0).to(tl.float32)
    logit = z
    if distilled is not None:
        tilt = slope * z - tl.load(distilled + row * width + c, mask=held, other=0.0)
        # Exactly z where β is 0, whatever the prediction.
        logit = tl.where(strength == 0.0, z, z + strength * tilt)
    return z, logit


@triton.jit
def gather_mass(scores, held, top, mass):
    """The running maximum and Σ exp(score - maximum) with these scores."""
    scores = tl.where(held, scores, float("-inf"))
    higher = tl.maximum(top, tl.max(scores, 0))
    return higher, mass * tl.exp(top - higher) + tl.sum(tl.exp(scores - higher), 0)


@triton.jit(do_not_specialize=["rows", "width", "pitch", "lanes", "needed"])
def distribute(
    reference,
    mask,
    temperature,
    distilled,
    beta,
    norm,
    slot,
    updates,
    logits,
    log_probs,
    kl,
    weight,
    rows,
    width,
    pitch,
    lanes,
    needed,
    slope,
    CHUNK: tl.constexpr,
    BC: tl.constexpr,
):
    """One program = one row: is it tilted, how its candidates are distributed, and how far from where they were."""
    row = tl.program_id(0).to(tl.int64)
    heat = tl.load(temperature + row)
    strength = tl.full((), 0.0, tl.float32)
    if distilled is not None:
        group = row // lanes if slot is None else tl.load(slot + row)
        ready = tl.load(updates + group) >= needed
        sound = unsound(slot, norm, group, rows, lanes, CHUNK) == 0
        strength = tl.where(ready & sound, tl.load(beta + row), 0.0)
        tl.store(weight + row, finite(tl.load(norm + row)).to(tl.float32))
    # Finite, so that a chunk of empty places leaves no NaN behind.
    top = tl.full((), -3.0e38, tl.float32)
    top_before = tl.full((), -3.0e38, tl.float32)
    mass = tl.full((), 0.0, tl.float32)
    mass_before = tl.full((), 0.0, tl.float32)
    for start in range(0, width, BC):
        c = start + tl.arange(0, BC)
        held = tl.load(mask + row * pitch + c, mask=c < width, other=0) != 0
        z, logit = mixed(reference, distilled, row, c, held, width, pitch, strength, slope)
        top, mass = gather_mass(logit / heat, held, top, mass)
        if distilled is not None:
            tl.store(logits + row * width + c, tl.where(held, logit, 0.0), mask=c < width)
            top_before, mass_before = gather_mass(z / heat, held, top_before, mass_before)
    total = top + tl.log(mass)
    total_before = total
    if distilled is not None:
        total_before = top_before + tl.log(mass_before)
    divergence = tl.full((), 0.0, tl.float32)
    for start in range(0, width, BC):
        c = start + tl.arange(0, BC)
        held = tl.load(mask + row * pitch + c, mask=c < width, other=0) != 0
        z, logit = mixed(reference, distilled, row, c, held, width, pitch, strength, slope)
        log_prob = logit / heat - total
        tl.store(log_probs + row * width + c, tl.where(held, log_prob, float("-inf")), mask=c < width)
        if distilled is not None:
            gap = log_prob - (z / heat - total_before)
            divergence += tl.sum(tl.where(held, tl.exp(log_prob) * gap, 0.0), 0)
    if distilled is not None:
        tl.store(kl + row, divergence)
