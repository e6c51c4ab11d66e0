"""One timed run of the sampler, with a progress bar where somebody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from esamp.callbacks import Callback, ProgressBar
from esamp.result import GenerationResult
from esamp.sampler import ESampSampler

__all__ = ["Run", "compile_first", "plain_twin", "timed_run"]


@dataclass(frozen=True)
class Run:
    """What one run gave.

    Attributes:
        result: the samples.
        seconds: wall-clock time of `generate`.
    """

    result: GenerationResult
    seconds: float


def timed_run(
    sampler: ESampSampler,
    prompts: Sequence[str],
    label: str,
    callbacks: Sequence[Callback] = (),
    **arguments: Any,
) -> Run:
    """`sampler.generate(prompts, **arguments)`, timed.

    Args:
        sampler: the sampler.
        prompts: at least one.
        label: before the progress bar, which is shown on stderr if that is a terminal.
        callbacks: passed on.
        **arguments: passed on.
    """
    bars = [ProgressBar(label)] if sys.stderr.isatty() else []
    start = time.perf_counter()
    result = sampler.generate(prompts, callbacks=[*callbacks, *bars], **arguments)
    return Run(result, time.perf_counter() - start)


def plain_twin(sampler: ESampSampler) -> ESampSampler:
    """What a sampler is compared with: the same model and distiller, the fusion and the draws of plain sampling."""
    engine = sampler.engine
    made = ESampSampler(engine.model, engine.tokenizer, distiller=sampler.distiller, sharing=sampler.sharing)
    made.engine = engine  # and with it what is compiled
    return made


def compile_first(sampler: ESampSampler, prompt: str) -> None:
    """Let a sampler that compiles do so before anything is timed, and say why that takes long."""
    if sampler.engine.compiled:
        print("compiling the model: about a minute, less if it was compiled here before", file=sys.stderr, flush=True)
        sampler.generate(prompt, 2, max_new_tokens=2, ignore_eos=True, beta=0.0)
