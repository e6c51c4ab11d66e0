"""Where the time of a decode step goes: every part of it by the clock, each without the parts inside it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, final
from unittest.mock import patch

import torch
from torch import nn
from typing_extensions import override

from esamp import policy
from esamp.callbacks import Callback, StepRecord
from esamp.candidates import Filters
from esamp.checks import check_integer
from esamp.engines.huggingface.history import History
from esamp.engines.huggingface.taps import find_head_module
from esamp.explorer import Explorer
from esamp.head import Head
from esamp.policy import Fused
from esamp.sampler import ESampSampler
from esamp.step import by_group
from esamp.studies.speed.stop_watch import StopWatch, running, timed
from esamp.studies.speed.turns import take_turns, twin

__all__ = ["PARTS", "Profile", "profile_step"]

PARTS = {
    "layers": "the LLM's embeddings and layers",
    "head": "the LLM's head",
    "filters": "temperature and filters: logits to candidates",
    "softmax": "softmax, KL and the error's norm",
    "draw": "Gumbel noise and its argmax",
    "history": "what is kept of every token",
    "predict": "the distiller's prediction",
    "candidate head": "the prediction's logits at the candidates",
    "fusion": "the tilt",
    "learn": "the distiller's update",
    "explorer": "ESamp's own bookkeeping: rows to groups and back, masks, copies",
    "loop": "everything else of the loop: cache, finished rows, callbacks",
}
"""What a step is made of."""

# The first step of a run holds its prefill, the last one has no forward.
_SHORTEST = 4


@final
@dataclass(frozen=True)
class Profile:
    """Of one arm.

    Attributes:
        seconds: of each part, the median over the steps.
        step: seconds of a step, the median.
    """

    seconds: dict[str, float]
    step: float

    def share(self, part: str) -> float:
        """Of the step."""
        return self.seconds[part] / self.step


def profile_step(
    sampler: ESampSampler,
    prompts: Sequence[str],
    *,
    n: int = 16,
    max_new_tokens: int = 16,
    min_p: float | None = 0.05,
) -> tuple[Profile, Profile]:
    """The parts of a step with β = 0 and with the sampler's β, from two runs that take turns, after two to warm up.

    On a GPU the clock waits for the device around every part, so that the sum is longer than a step that is left alone.
    With a scheduler that overlaps, work that runs beside the loop is counted where it is submitted or waited for: use
    the synchronous one.

    Raises:
        ValueError: an argument is out of range.
    """
    check_integer("max_new_tokens", max_new_tokens, low=_SHORTEST, hint="the first step and the last are not counted")
    if sampler.beta == 0:
        raise ValueError("beta must be > 0 to see what ESamp does, got 0; give the sampler one, such as 0.25")
    device = sampler.engine.device
    samplers, betas, watches = (twin(sampler), sampler), (0.0, sampler.beta), (_StepWatch(device), _StepWatch(device))

    def arm(which: int) -> Callable[[Callback], object]:
        def play(turn: Callback) -> None:
            running.watch = watches[which]
            callbacks = [watches[which], turn, _Resume(watches[which])]
            run: dict[str, Any] = {"n": n, "min_p": min_p, "beta": betas[which], "ignore_eos": True}
            samplers[which].generate(prompts, **run, max_new_tokens=max_new_tokens, callbacks=callbacks)

        return play

    for at, beta in zip(samplers, betas, strict=True):
        at.generate(prompts, n, max_new_tokens=_SHORTEST, min_p=min_p, beta=beta, ignore_eos=True)
    with _watched(sampler), ExitStack() as stack:
        for at, watch in zip(samplers, watches, strict=True):
            for module, part in ((at.engine.model, "layers"), (find_head_module(at.engine.model), "head")):
                stack.enter_context(_hooked(module, watch, part))
        take_turns([arm(0), arm(1)], device)
    return watches[0].profile(), watches[1].profile()


@final
class _StepWatch(StopWatch, Callback):
    """Looks at the watch after every step."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device, "loop")
        self.steps: list[dict[str, float]] = []

    @override
    def on_step(self, record: StepRecord) -> None:
        self.steps.append(self.spent())

    def profile(self) -> Profile:
        """Medians over the steps but the first and the last."""
        steps = self.steps[1:-1]
        seconds = {part: statistics.median(step.get(part, 0.0) for step in steps) for part in PARTS}
        return Profile(seconds, statistics.median(sum(step.values()) for step in steps))


@final
class _Resume(Callback):
    """After the other arm's turn: what passed meanwhile belongs to no part."""

    def __init__(self, watch: _StepWatch) -> None:
        self.watch = watch

    @override
    def on_step(self, record: StepRecord) -> None:
        self.watch.resume()


@contextmanager
def _watched(sampler: ESampSampler) -> Generator[None]:
    """While entered, the parts tell the watch of their thread when they begin and end."""
    distiller, fusion = type(sampler.distiller), type(sampler.fusion)
    seams: list[tuple[Any, str, str]] = [
        (Filters, "select", "filters"),
        (by_group, "tilted_log_softmax", "softmax"),
        (by_group, "error_norm", "softmax"),
        (policy, "plain_distribution", "softmax"),
        (Fused, "draw", "draw"),
        (History, "write", "history"),
        (distiller, "forward", "predict"),
        (distiller, "learn", "learn"),
        (Head, "at", "candidate head"),
        (Head, "full", "candidate head"),
        (fusion, "__call__", "fusion"),
        *((Explorer, name, "explorer") for name in ("begin", "fuse", "learn")),
    ]
    with ExitStack() as stack:
        for owner, name, part in seams:
            stack.enter_context(patch.object(owner, name, timed(getattr(owner, name), part)))
        yield


@contextmanager
def _hooked(module: nn.Module, watch: _StepWatch, part: str) -> Generator[None]:
    hooks = [
        module.register_forward_pre_hook(lambda *_: watch.enter(part)),
        module.register_forward_hook(lambda *_: watch.leave()),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
