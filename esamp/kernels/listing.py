"""Every kernel in every variant that the library starts, as launches to be compiled and listed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import torch
from torch import Tensor

from esamp.kernels.candidate_head.triton import run, run_errors
from esamp.kernels.distribution import Tilt
from esamp.kernels.distribution.triton import run_plain, run_tilted
from esamp.kernels.grouped_mlp.normalised import forward_normalised
from esamp.kernels.grouped_mlp_update.triton import step, step_normalised
from esamp.kernels.grouped_mlp_update.verdict import Books
from esamp.kernels.gumbel_draw.triton import run as pick
from esamp.kernels.launch import Launch, watch
from esamp.kernels.trial import Sizes, Trial

__all__ = ["launches"]

_KINDS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# What the tests compile; `everything` adds the tiles between, at the price of as much time again.
_FEW = [("fp32", 16), ("fp16", 16), ("bf16", 16), ("fp32", 64), ("fp32", 128)]
_ALL = [*product(_KINDS, (16, 32, 64)), ("fp32", 128)]


def launches(everything: bool = False) -> dict[str, Launch]:
    """By name: kernel, dtype of the weights, rows of a slot; at d = 4096, inner width 384, 8 slots."""
    listed: dict[str, Launch] = {}
    for kind, lanes in _ALL if everything else _FEW:
        caught: list[Launch] = []
        with watch(caught.append):
            _start(_KINDS[kind], lanes)
        for launch in caught:
            variant = _variant(launch)
            tiled = f" {lanes} rows" if "BM" in launch.arguments else ""
            listed.setdefault(f"{launch.name}{variant} {kind}{tiled}", launch)
    return listed


def _variant(launch: Launch) -> str:
    arguments = launch.arguments
    if launch.name == "back_down":
        if arguments["squares"] is not None:
            return " (RMS)"
        return " (first block)" if arguments["FIRST"] else " (last block)"
    if launch.name == "score":
        return " (draw)" if arguments["place"] is not None else " (errors)" if arguments["deep"] is not None else ""
    if launch.name == "distribute":
        return " (tilted)" if arguments["distilled"] is not None else ""
    if launch.name in ("adam", "measure"):
        kept = " (books)" if arguments.get("updates") is not None else ""
        return (" (RMS)" if 1 in arguments["HEIGHTS"] else "") + kept
    if launch.name in ("shrink", "expand") and arguments["squares"] is not None:
        return " (RMS)"
    return ""


def _start(dtype: torch.dtype, lanes: int) -> None:
    sizes = Sizes(lanes=lanes, weights=dtype, head=dtype)
    trial = Trial(sizes, "meta")
    activations, _ = trial.predict_and_fuse()
    trial.learn(activations)
    d, rank, slots, rows = sizes.d, 64, sizes.slots, sizes.rows

    def empty(*shape: int, kind: torch.dtype = dtype) -> Tensor:
        return torch.empty(shape, dtype=kind, device="meta")

    updates, norm = empty(slots, kind=torch.int64), empty(rows, kind=torch.float32)
    books = Books([weight[0] for weight in trial.weights], norm, updates, updates)
    moments = (trial.first, trial.second, replace(trial.state, books=books))
    step(activations, trial.deep, trial.alive, trial.gate_up, trial.down, *moments)
    weights = [empty(slots, d, 2 * rank), empty(slots, rank, d), empty(slots, d), empty(slots, d)]
    first, second = ([torch.empty_like(weight, dtype=torch.float32) for weight in weights] for _ in range(2))
    gate_up, down, scale, bias = weights
    activations, _ = forward_normalised(trial.shallow, trial.slot, lanes, gate_up, down, scale, bias)
    starts = [weight[0] for weight in weights]
    for state in (trial.state, replace(trial.state, books=replace(books, starts=starts))):
        step_normalised(activations, trial.deep, trial.alive, weights, first, second, state)
    ids, mask = empty(rows, sizes.width, kind=torch.int64), empty(rows, sizes.width, kind=torch.bool)
    hidden, head, heat = empty(rows, d, kind=torch.float32), empty(sizes.vocabulary, d), trial.heat
    run(hidden, head, ids, mask, empty(sizes.vocabulary), 1.0, 30.0)
    logits, norm = run_errors(trial.deep, hidden, head, ids, mask, None, 1.0, None)
    run_plain(logits, mask, heat)
    run_tilted(logits, mask, heat, Tilt(logits, trial.beta, 1.0, norm, trial.slot, lanes, updates, 1))
    pick(logits, ids, 7, trial.sample, trial.step)
