"""One step of a real explorer, or of plain sampling, with everything counted that it asks of the device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from unittest.mock import patch

import torch
from jaxtyping import Int
from torch import Tensor

from esamp.bank import Bank
from esamp.candidates import Filters
from esamp.distillers import Distiller
from esamp.draws import GumbelDraw
from esamp.explorer import Explorer
from esamp.fusion import BetaMix
from esamp.head import Head
from esamp.kernels.dispatch import uses_triton
from esamp.kernels.launch import Launch
from esamp.llm import FrozenLLM
from esamp.policy import DecodePolicy, PlainPolicy
from esamp.rows import Rows
from esamp.schedulers import SynchronousScheduler
from esamp.testing.operations import Operations, operations

__all__ = ["Floors", "StepSizes", "count_step", "step_floors"]

_FILTERS = Filters(min_p=0.05)
# Logits spread so far that few tokens of each row survive.
_SHARPNESS = 8.0
# The first step warms up, and the second may still make what holds until rows leave.
_STEPS = 3


@dataclass(frozen=True)
class StepSizes:
    """Of the model and the batch.

    Attributes:
        d: hidden size.
        vocabulary: tokens of the head, whose weights are float32.
        groups: number of groups.
        lanes: rows of a group.
    """

    d: int
    vocabulary: int
    groups: int
    lanes: int


@dataclass(frozen=True)
class Floors:
    """Bytes that must move before the token and to learn, derived in the kernels' READMEs."""

    before: int
    learn: int


def count_step(
    distiller: Distiller | None, sizes: StepSizes, order: Int[Tensor, " rows"], weigh: Callable[[Launch], int]
) -> dict[str, Operations]:
    """What `begin`, `fuse`, `draw` and `learn` of a step ask for, with β-mix and min-p 0.05.

    Where kernels are chosen the host does not look at masks, as on a GPU. What nobody needs to wait for in a step, such
    as asking for losses, is not in it.

    Args:
        distiller: None: plain sampling.
        sizes: of the model and the batch.
        order: seats of the rows, slot · lanes + lane.
        weigh: runs a launch and returns its bytes.
    """
    head = Head(_gaussian(sizes.vocabulary, sizes.d) * _SHARPNESS * sizes.d**-0.5)
    rows = Rows.of_prompts(torch.arange(sizes.groups), torch.full((sizes.groups, sizes.lanes), 0.25))
    rows = rows if torch.equal(order, torch.arange(len(rows))) else rows[order]
    policy = _policy(distiller, head, sizes)
    total = torch.full_like(rows.sample, sizes.lanes)
    drawing = GumbelDraw().begin(0, rows.sample, total, rows.slot)
    counted: dict[str, Operations] = {}
    with torch.no_grad(), _as_on_a_gpu(head.weight):
        for number in range(_STEPS):
            shallow, deep = _gaussian(len(rows), sizes.d, seed=number), _gaussian(len(rows), sizes.d, seed=-1 - number)
            reference = head.full(deep)
            with operations(weigh) as counted["begin"]:
                policy.begin(shallow, rows)
            with operations(weigh) as counted["fuse"]:
                fused = policy.fuse(deep, reference)
            with operations(weigh) as counted["draw"]:
                drawn = fused.draw(drawing, rows, order)
            with operations(weigh) as counted["learn"]:
                policy.learn(deep, drawn.tokens)
            rows = rows.advance()
    return counted


def step_floors(distiller: Distiller, sizes: StepSizes) -> Floors:
    """Floors of an MLP or low-rank distiller with Adam: its weights and moments, the hidden states and the logits.

    The head's rows of the candidates, of which there are different numbers in every step, are left out.
    """
    distiller.setup(sizes.d, sizes.groups)
    weights = {name: w.numel() for name, w in distiller.named_buffers() if name.startswith("weight_")}
    hidden, parameters = sizes.groups * sizes.lanes * sizes.d * 4, sum(weights.values())
    logits = sizes.groups * sizes.lanes * sizes.vocabulary * 4
    # Errors pass through every weight but the first block's gate and up.
    first = next(count for name, count in weights.items() if "gate_up" in name)
    return Floors(4 * parameters + 2 * hidden + logits, 24 * parameters + 4 * (parameters - first) + 3 * hidden)


def _policy(distiller: Distiller | None, head: Head, sizes: StepSizes) -> DecodePolicy:
    if distiller is None:
        return PlainPolicy(_FILTERS, sizes.groups)
    bank = Bank(distiller, BetaMix(), FrozenLLM(head), sizes.groups)
    return Explorer(bank, sizes.lanes, SynchronousScheduler(), _FILTERS)


def _as_on_a_gpu(tensor: Tensor) -> AbstractContextManager[object]:
    """While entered the host looks at no mask, if kernels run."""
    if not uses_triton(tensor):
        return nullcontext()
    return patch("esamp.functional.looking.free_to_look", lambda tensor: False)


def _gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + 2**20))
