"""When the LLM and the distiller work: a trace of PyTorch's profiler."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from jaxtyping import Float
from torch import Tensor, nn
from torch._C._profiler import _ExperimentalConfig  # pyright: ignore[reportPrivateUsage]
from torch.profiler import ProfilerActivity, profile, record_function
from typing_extensions import override

from esamp.distillers import DistillerWrapper
from esamp.engines.huggingface.taps import find_first_layer
from esamp.sampler import ESampSampler

__all__ = ["Span", "Timeline", "trace"]

FIRST, REST, PREDICT, LEARN = "LLM first layer", "LLM", "distiller predict", "distiller learn"


@final
@dataclass(frozen=True)
class Span:
    """One stretch of work.

    Attributes:
        name: "LLM", "LLM first layer" (a part of it), "distiller predict" or "distiller learn".
        start: seconds since the first span began.
        end: likewise.
        row: the thread, or the stream of a GPU, that it ran on.
    """

    name: str
    start: float
    end: float
    row: str


@final
@dataclass(frozen=True)
class Timeline:
    """The spans of a run, in order of their start."""

    spans: list[Span]

    @classmethod
    def read(cls, path: Path) -> Timeline:
        """The spans in a trace: those of a GPU's streams where there are any, else those of the CPU's threads.

        Raises:
            ValueError: the trace has none of them.
        """
        events: list[dict[str, Any]] = json.loads(path.read_text())["traceEvents"]
        names = (FIRST, REST, PREDICT, LEARN)
        for category in ("gpu_user_annotation", "user_annotation"):
            found = [event for event in events if event.get("cat") == category and event["name"] in names]
            if found:
                zero = min(event["ts"] for event in found)
                spans = [
                    Span(
                        event["name"],
                        (event["ts"] - zero) * 1e-6,
                        (event["ts"] + event["dur"] - zero) * 1e-6,
                        str(event["tid"]),
                    )
                    for event in found
                ]
                return cls(sorted(spans, key=lambda span: span.start))
        raise ValueError(f"trace {str(path)!r} must hold spans named {', '.join(names)}, and holds none")

    def of(self, *names: str) -> list[Span]:
        """The spans of these names."""
        return [span for span in self.spans if span.name in names]

    @property
    def overlap(self) -> float:
        """The share of the distiller's time in which the LLM works too."""
        work = self.of(PREDICT, LEARN)
        shared = sum(
            max(0.0, min(span.end, llm.end) - max(span.start, llm.start)) for span in work for llm in self.of(REST)
        )
        # In line, the prediction is made inside the LLM's forward, on the same row, and the LLM stands still.
        inside = sum(
            span.end - span.start
            for span in work
            for llm in self.of(REST)
            if span.row == llm.row and llm.start <= span.start and span.end <= llm.end
        )
        total = sum(span.end - span.start for span in work)
        return (shared - inside) / total if total else 0.0


def trace(sampler: ESampSampler, prompts: Sequence[str], path: Path, **options: Any) -> Timeline:
    """Profile `sampler.generate(prompts, **options)` and write the trace, which Perfetto and Chrome open.

    One generation before it warms up.
    """
    activities = [ProfilerActivity.CPU]
    if sampler.engine.device.type == "cuda":  # pragma: no cover (needs a GPU)
        activities.append(ProfilerActivity.CUDA)
    with _labelled(sampler):
        sampler.generate(prompts, **options)
        # The worker of a scheduler is another thread than the one that profiles.
        with profile(
            activities=activities, experimental_config=_ExperimentalConfig(profile_all_threads=True)
        ) as profiler:
            sampler.generate(prompts, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(path))
    _name_rows(path)
    return Timeline.read(path)


@contextmanager
def _labelled(sampler: ESampSampler) -> Generator[None]:
    """While entered, the model's forwards and the distiller's work carry their names in a profile."""
    recipe, model = sampler.distiller, sampler.engine.model
    undo = [_label(model, REST), _label(find_first_layer(model), FIRST)]
    sampler.distiller = _LabelledDistiller(recipe)
    try:
        yield
    finally:
        sampler.distiller = recipe
        for remove in undo:
            remove()


def _label(module: nn.Module, name: str) -> Callable[[], None]:
    """Let the module's forwards carry a name; returns what undoes it."""
    open_spans: list[record_function] = []

    def begin(module: nn.Module, args: object) -> None:
        open_spans.append(record_function(name))
        open_spans[-1].__enter__()

    def end(module: nn.Module, args: object, output: object) -> None:
        open_spans.pop().__exit__(None, None, None)

    hooks = [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]

    def undo() -> None:
        for hook in hooks:
            hook.remove()

    return undo


@final
class _LabelledDistiller(DistillerWrapper):
    """Another distiller, whose work carries its name in a profile."""

    @override
    def forward(self, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        with record_function(PREDICT):
            return super().forward(shallow)

    @override
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        with record_function(LEARN):
            return super().learn(shallow, deep, weight)


def _name_rows(path: Path) -> None:
    """Name the rows of a trace "LLM" and "distiller", where the two have rows of their own."""
    document = json.loads(path.read_text())
    events: list[dict[str, Any]] = document["traceEvents"]
    spans = [event for event in events if event.get("cat") in ("user_annotation", "gpu_user_annotation")]
    llm = {(event["pid"], event["tid"]) for event in spans if event["name"] == REST}
    distiller = {(event["pid"], event["tid"]) for event in spans if event["name"] in (PREDICT, LEARN)}
    for name, rows in (("LLM", llm), ("distiller", distiller - llm)):
        for pid, tid in sorted(rows):
            events.append({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}})
    path.write_text(json.dumps(document))
