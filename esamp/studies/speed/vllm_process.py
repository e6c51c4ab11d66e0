"""A vLLM engine in a process of its own, that draws and is timed when it is told to."""

from __future__ import annotations

import os
import statistics
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, final
from unittest.mock import patch

import torch

from esamp.studies.speed.pairs import Clock
from esamp.studies.speed.stop_watch import StopWatch, running, timed

__all__ = ["PARTS", "EngineProcess", "Lap", "Workload"]

PARTS = {
    "engine": "vLLM: model, scheduler, its own sampler, detokenizer",
    "widen": "taps: h¹ and position beside hᴸ, and apart again",
    "requests": "who is whose row",
    "filters": "temperature and filters: logits to candidates",
    "predict": "the distiller's prediction",
    "candidate head": "the prediction's logits at the candidates",
    "softmax": "fusion, softmax, KL and the error's norm",
    "draw": "Gumbel noise and its argmax",
    "learn": "the distiller's update",
    "metrics": "sums for Prometheus, records",
    "explorer": "ESamp's own bookkeeping: rows to groups and back, masks, copies",
}
"""What a step of the engine is made of."""


@final
@dataclass(frozen=True)
class Workload:
    """What is drawn.

    Attributes:
        prompts: texts.
        n: samples of each.
        max_new_tokens: of each sample, exactly.
        min_p: the filter.
        beta: exploration strength.
    """

    prompts: list[str]
    n: int = 8
    max_new_tokens: int = 64
    min_p: float = 0.05
    beta: float = 0.25


@final
@dataclass(frozen=True)
class Lap:
    """One run.

    Attributes:
        wall, cpu: seconds by the clock on the wall, and of processor time.
        tokens: drawn.
        explored: of them those that ESamp drew.
    """

    wall: float
    cpu: float
    tokens: int
    explored: int


@final
@dataclass
class EngineProcess:
    """An engine, with ESamp or as vLLM comes.

    Args:
        model: a folder.
        settings: ESamp's; None: plain vLLM, without esamp's plugin.
        workload: what it draws.
        options: of `vllm.LLM`.

    Raises:
        RuntimeError: the engine did not start; its process has said why.
    """

    model: Path
    settings: dict[str, Any] | None
    workload: Workload
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        spawning = get_context("spawn")
        self._connection, theirs = spawning.Pipe()
        self._process: Any = spawning.Process(
            target=_work, args=(theirs, self.model, self.settings, self.workload, self.options), daemon=True
        )
        self._process.start()
        theirs.close()
        self._receive()

    def run(self, seed: int, *, explore: bool = False, theirs: bool = True) -> Lap:
        """Draw all samples once, with ESamp and its filter if `explore`, with vLLM's filter if `theirs`."""
        self._connection.send(("run", {"seed": seed, "explore": explore, "theirs": theirs}))
        return self._receive()

    def profile(self, seed: int) -> dict[str, float]:
        """Seconds of each part of a step, the median over the steps of a run with ESamp."""
        self._connection.send(("profile", {"seed": seed}))
        return self._receive()

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(30)
        if self._process.is_alive():
            self._process.kill()

    def _receive(self) -> Any:
        try:
            return self._connection.recv()
        except EOFError as error:
            kind = "plain vLLM" if self.settings is None else "vLLM with ESamp"
            raise RuntimeError(f"the process of {kind} has ended; what it has said above tells why") from error


def _work(
    connection: Connection, model: Path, settings: dict[str, Any] | None, workload: Workload, options: Any
) -> None:
    # One process for everything, so that its processor time is that of the engine.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    if settings is None:
        os.environ["VLLM_PLUGINS"] = ""
    engine = _Engine(model, settings, workload, options)
    connection.send(None)
    while True:
        try:
            command, arguments = connection.recv()
        except EOFError:
            return
        connection.send(getattr(engine, command)(**arguments))


class _Engine:
    """The engine, inside its process."""

    def __init__(self, model: Path, settings: dict[str, Any] | None, workload: Workload, options: Any) -> None:
        self.workload = workload
        self._explored = 0
        with ExitStack() as stack:
            if settings is None:
                from vllm import LLM  # pyright: ignore[reportMissingImports]

                self.llm: Any = LLM(str(model), **options)
            else:
                from esamp.engines import vllm as esamp_vllm
                from esamp.engines.vllm.taps import Taps

                # The hooks are bound when the model is tapped.
                for name in ("_pack", "_unpack"):
                    stack.enter_context(patch.object(Taps, name, timed(getattr(Taps, name), "widen")))
                self.llm = esamp_vllm.LLM(model, esamp=settings, **options)
                self._installation().observers.append(self._count)

    def run(self, seed: int, *, explore: bool, theirs: bool) -> Lap:
        from vllm import SamplingParams  # pyright: ignore[reportMissingImports]

        ours = {"esamp_beta": self.workload.beta, "esamp_seed": seed, "esamp_min_p": self.workload.min_p}
        wanted = SamplingParams(
            n=self.workload.n,
            max_tokens=self.workload.max_new_tokens,
            min_p=self.workload.min_p if theirs else 0.0,
            ignore_eos=True,
            extra_args=ours if explore else None,
        )
        self._explored = 0
        clock = Clock(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        outputs = self.llm.generate(self.workload.prompts, wanted, use_tqdm=False)
        wall, cpu = clock.lap()
        return Lap(wall, cpu, sum(len(c.token_ids) for output in outputs for c in output.outputs), self._explored)

    def profile(self, seed: int) -> dict[str, float]:
        explorer = self._installation().explorer
        device = explorer.bank.head.weight.device
        watch, steps = StopWatch(device, "engine"), list[dict[str, float]]()
        step = self.llm.llm_engine.step

        def stepped() -> Any:
            made = step()
            steps.append(watch.spent())
            return made

        running.watch = watch
        try:
            with _watched(type(explorer.bank.distiller)), patch.object(self.llm.llm_engine, "step", stepped):
                watch.resume()
                self.run(seed, explore=True, theirs=False)
        finally:
            running.watch = None
        # The first steps hold the prefill, the last one the end of the requests.
        counted = steps[2:-1] or steps
        return {part: statistics.median(step.get(part, 0.0) for step in counted) for part in PARTS}

    def _installation(self) -> Any:
        from esamp.engines.vllm.installation import installation_of

        return installation_of(self.llm.llm_engine.vllm_config)

    def _count(self, step: Any) -> None:
        self._explored += len(step.places)


@contextmanager
def _watched(distiller: type) -> Generator[None]:
    """While entered, the parts tell the watch of their thread when they begin and end."""
    from esamp.candidates import Filters
    from esamp.engines.vllm.batch_v1 import BatchV1
    from esamp.engines.vllm.processor import ESampLogitsProcessor
    from esamp.engines.vllm.records import Records
    from esamp.engines.vllm.reporter import PrometheusReporter
    from esamp.head import Head
    from esamp.policy import Fused
    from esamp.step import by_group

    seams: list[tuple[Any, str, str]] = [
        (ESampLogitsProcessor, "apply", "explorer"),
        (BatchV1, "places", "requests"),
        (BatchV1, "update", "requests"),
        (Filters, "select", "filters"),
        (by_group, "tilted_log_softmax", "softmax"),
        (by_group, "error_norm", "softmax"),
        (Fused, "draw", "draw"),
        (distiller, "forward", "predict"),
        (distiller, "learn", "learn"),
        (Head, "at", "candidate head"),
        (Head, "full", "candidate head"),
        (Records, "write", "metrics"),
        (PrometheusReporter, "step", "metrics"),
        (PrometheusReporter, "batch", "metrics"),
    ]
    with ExitStack() as stack:
        for owner, name, part in seams:
            stack.enter_context(patch.object(owner, name, timed(getattr(owner, name), part)))
        yield
