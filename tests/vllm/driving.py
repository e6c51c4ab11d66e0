"""Running requests through an engine step by step, and watching what ESamp makes of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.v1.metrics.loggers import StatLoggerBase

from esamp.engines.vllm.installation import installation_of
from esamp.engines.vllm.step import Step


@contextmanager
def watched(llm: Any) -> Generator[list[Step]]:
    """The steps that ESamp takes meanwhile."""
    steps: list[Step] = []

    def keep(step: Step) -> None:
        # The engine writes the drawn tokens over its logits.
        steps.append(replace(step, reference=step.reference.clone()))

    observers = installation_of(llm.llm_engine.vllm_config).observers
    observers.append(keep)
    try:
        yield steps
    finally:
        observers.remove(keep)


def params(group: str | None = None, n: int = 1, max_tokens: int = 12, **more: Any) -> SamplingParams:
    """A request, with ESamp where it has a group; `esamp_*` among the rest goes where ESamp looks for it."""
    ours = {name: more.pop(name) for name in list(more) if name.startswith("esamp_")}
    if group is not None:
        ours = {"esamp_beta": 0.5, "esamp_group": group, "esamp_seed": 7} | ours
    return SamplingParams(
        n=n,
        max_tokens=max_tokens,
        ignore_eos=True,
        extra_args=ours or None,
        output_kind=RequestOutputKind.FINAL_ONLY,
        **more,
    )


def drive(
    llm: Any,
    requests: Sequence[tuple[str, str, SamplingParams]],
    *,
    every: int = 0,
    abort: dict[int, str] | None = None,
) -> dict[str, Any]:
    """Outputs of (name, prompt, parameters) by their names; one arrives `every` steps, or all at once.

    `abort` names requests to take back before a step.
    """
    engine, waiting, done, step = llm.llm_engine, list(requests), {}, 0
    while waiting or engine.has_unfinished_requests():
        if waiting and (not every or step % every == 0):
            for name, prompt, wanted in waiting if not every else waiting[:1]:
                engine.add_request(name, prompt, wanted)
            waiting = [] if not every else waiting[1:]
        if abort and step in abort:
            engine.abort_request([abort[step]])
        for output in engine.step():
            if output.finished:
                done[output.request_id] = output
        step += 1
    return done


def tokens(output: Any) -> list[list[int]]:
    """The tokens of a request's samples, by sample."""
    return [list(sample.token_ids) for sample in sorted(output.outputs, key=lambda sample: sample.index)]


class Counts(StatLoggerBase):
    """What one engine counts; vLLM's metrics are those of the process, and the engine that came last has them."""

    def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
        self.preemptions = 0
        self.prefix_hits = 0

    def record(
        self, scheduler_stats: Any, iteration_stats: Any, mm_cache_stats: Any = None, engine_idx: int = 0
    ) -> None:
        if iteration_stats is not None:
            self.preemptions += iteration_stats.num_preempted_reqs
        if scheduler_stats is not None:
            self.prefix_hits += scheduler_stats.prefix_cache_stats.hits

    def log_engine_initialized(self) -> None:
        pass


@contextmanager
def counted(llm: Any) -> Generator[Counts]:
    """What an engine that keeps statistics counts meanwhile."""
    engine = llm.llm_engine
    counts = Counts(engine.vllm_config)
    engine.logger_manager.stat_loggers.append(counts)
    try:
        yield counts
    finally:
        engine.logger_manager.stat_loggers.remove(counts)


def elsewhere(code: str, **environment: str) -> dict[str, str]:
    """Lines "name rest" that code prints in a process of its own, by their names; an error if it fails or hangs."""
    folder = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(folder)} | environment,
        cwd=folder,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return {name: rest for name, _, rest in (line.partition(" ") for line in run.stdout.splitlines())}
