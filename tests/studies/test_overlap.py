"""What overlap is worth, and the timeline that shows it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from esamp import ESampSampler, MLPDistiller
from esamp.schedulers import SynchronousScheduler, ThreadScheduler
from esamp.studies.overlap import Overlap, measure_overlap
from esamp.studies.timeline import Span, Timeline, trace
from esamp.studies.timeline_plot import plot_timeline
from esamp.testing.models import tiny_model

_STEPS = 3
_RUN = {"n": 2, "max_new_tokens": _STEPS, "ignore_eos": True}


@pytest.fixture
def sampler(tokenizer: Any) -> ESampSampler:
    return ESampSampler(tiny_model(), tokenizer, distiller=MLPDistiller(width=8), scheduler="thread")


def test_pairs_run_in_line_first_and_then_under_the_scheduler(
    sampler: ESampSampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[type] = []
    generate = ESampSampler.generate
    monkeypatch.setattr(
        ESampSampler, "generate", lambda self, *a, **k: (ran.append(type(self.scheduler)), generate(self, *a, **k))[1]
    )
    overlap = measure_overlap(sampler, ["one two"], n=2, max_new_tokens=2, pairs=2)
    assert ran == [SynchronousScheduler, ThreadScheduler] * 3  # one pair warms up
    assert len(overlap.inline) == len(overlap.beside) == 2
    assert type(sampler.scheduler) is ThreadScheduler


def test_the_share_is_over_the_ratios_of_pairs() -> None:
    overlap = Overlap([1.0, 2.0, 4.0], [0.9, 2.0, 5.0], "thread")
    assert overlap.median_share == 0
    assert "thread: +0.0%" in overlap.summary()
    assert "-5.0% and +12.5%" in overlap.summary()


def test_in_line_there_is_nothing_to_measure(tokenizer: Any) -> None:
    sampler = ESampSampler(tiny_model(), tokenizer)
    with pytest.raises(ValueError, match=r"scheduler must overlap .* got 'synchronous'"):
        measure_overlap(sampler, ["one two"])


def test_a_trace_has_every_step_of_both_on_rows_of_their_own(sampler: ESampSampler, tmp_path: Path) -> None:
    recipe, path = sampler.distiller, tmp_path / "deep" / "trace.json"
    timeline = trace(sampler, ["one two"], path, **_RUN)
    for name in ("LLM", "LLM first layer", "distiller predict", "distiller learn"):
        assert len(timeline.of(name)) == _STEPS
    (llm,), (worker,) = ({span.row for span in timeline.of(name)} for name in ("LLM", "distiller learn"))
    assert llm != worker
    named = {
        event["args"]["name"]: str(event["tid"])
        for event in json.loads(path.read_text())["traceEvents"]
        if event["ph"] == "M" and event["name"] == "thread_name"
    }
    assert (named["LLM"], named["distiller"]) == (llm, worker)
    for first, whole in zip(timeline.of("LLM first layer"), timeline.of("LLM"), strict=True):
        assert whole.start <= first.start <= first.end <= whole.end
    # The sampler is as it was.
    assert sampler.distiller is recipe
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in sampler.engine.model.modules())


def test_in_line_nothing_overlaps(tokenizer: Any, tmp_path: Path) -> None:
    sampler = ESampSampler(tiny_model(), tokenizer, distiller=MLPDistiller(width=8))
    timeline = trace(sampler, ["one two"], tmp_path / "trace.json", **_RUN)
    assert len({span.row for span in timeline.spans}) == 1
    assert timeline.overlap == pytest.approx(0.0, abs=1e-9)


def _spans(*rows: tuple[str, float, float, str]) -> Timeline:
    return Timeline([Span(*row) for row in rows])


def test_overlap_is_the_distillers_time_beside_the_llm() -> None:
    two_rows = [("LLM", 0.0, 10.0, "a"), ("distiller predict", 2.0, 4.0, "b"), ("distiller learn", 9.0, 11.0, "b")]
    assert _spans(*two_rows).overlap == pytest.approx(0.75)
    assert _spans(("LLM", 0.0, 10.0, "a"), ("distiller predict", 2.0, 4.0, "a")).overlap == 0.0
    assert _spans(("LLM", 0.0, 10.0, "a")).overlap == 0.0


def test_a_gpus_streams_come_before_the_threads_that_queued_on_them(tmp_path: Path) -> None:
    def event(category: str, row: str) -> dict[str, Any]:
        return {"ph": "X", "cat": category, "name": "LLM", "ts": 5.0, "dur": 1.0, "pid": 0, "tid": row}

    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": [event("user_annotation", "1"), event("gpu_user_annotation", "7")]}))
    (span,) = Timeline.read(path).spans
    assert (span.name, span.row, span.start) == ("LLM", "7", 0.0)
    assert span.end == pytest.approx(1e-6)


def test_a_trace_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": []}))
    with pytest.raises(ValueError, match="must hold spans named LLM first layer"):
        Timeline.read(path)


def _without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else find(name, *rest)
    )


def test_a_picture_without_matplotlib_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_matplotlib(monkeypatch)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "esamp\[studies\]"'):
        plot_timeline(_spans(("LLM", 0.0, 1.0, "a")), tmp_path / "timeline.png", "")


def test_the_command_writes_a_trace_and_a_picture(
    tmp_path: Path, tokenizer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from esamp.cli.main import main

    folder = tmp_path / "model"
    tiny_model().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    words = f"bench overlap --model {folder} --scheduler thread --pairs 2 -n 2 --max-new-tokens 3 --out {tmp_path}/out"
    assert main(words.split()) == 0
    printed = capsys.readouterr().out
    assert "ThreadScheduler: " in printed
    assert "The distiller works beside the LLM for" in printed
    assert json.loads((tmp_path / "out/overlap.json").read_text())["traceEvents"]
    with Image.open(tmp_path / "out/overlap.png") as picture:
        assert picture.width > 1000


def test_the_command_says_what_is_missing_before_it_measures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from esamp.cli.main import main

    _without_matplotlib(monkeypatch)
    assert main(["bench", "overlap", "--scheduler", "thread"]) == 2
    assert 'pip install "esamp[studies]"' in capsys.readouterr().err
