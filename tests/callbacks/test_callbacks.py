from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from transformers import PreTrainedTokenizerFast
from typing_extensions import override

from esamp import (
    Callback,
    ESampSampler,
    GenerationResult,
    JSONLWriter,
    LoggerCallback,
    MLPDistiller,
    ProgressBar,
    Sample,
)
from esamp.callbacks import GenerateStart, StepRecord
from esamp.testing.models import tiny_model

PROMPTS = ["Once upon a time", "Hi"]


@pytest.fixture(scope="module")
def sampler(tokenizer: PreTrainedTokenizerFast) -> ESampSampler:
    model = tiny_model()
    model.generation_config.eos_token_id = list(range(100, 110))
    return ESampSampler(model, tokenizer, distiller=MLPDistiller(width=8), beta=0.5)


class Recorder(Callback):
    """Every call, in order; raises in the hook named `fails`."""

    def __init__(self, fails: str = "") -> None:
        self.calls: list[tuple[str, Any]] = []
        self.fails = fails

    def note(self, hook: str, value: Any) -> None:
        self.calls.append((hook, value))
        if hook == self.fails:
            raise RuntimeError(f"{hook} fails")

    @override
    def on_generate_start(self, start: GenerateStart) -> None:
        self.note("start", start)

    @override
    def on_step(self, record: StepRecord) -> None:
        self.note("step", record)

    @override
    def on_sample_end(self, sample: Sample) -> None:
        self.note("sample", sample)

    @override
    def on_generate_end(self, result: GenerationResult) -> None:
        self.note("end", result)

    @override
    def on_exception(self, error: BaseException) -> None:
        self.calls.append(("exception", error))

    def of(self, hook: str) -> list[Any]:
        return [value for name, value in self.calls if name == hook]


def test_hooks_are_called_in_order_and_tell_the_truth(sampler: ESampSampler) -> None:
    recorder = Recorder()
    result = sampler.generate(PROMPTS, n=3, max_new_tokens=12, callbacks=[recorder])
    names = [name for name, _ in recorder.calls]
    assert names[0] == "start"
    assert names[-1] == "end"
    assert "exception" not in names
    assert recorder.of("end") == [result]
    start = recorder.of("start")[0]
    assert (start.prompts, start.n, start.max_new_tokens) == (2, 3, 12)
    assert start.settings == result.settings
    assert {(sample.prompt, sample.index) for sample in recorder.of("sample")} == {
        (prompt, index) for prompt in range(2) for index in range(3)
    }
    # A sample's end is told just before the step that ended it.
    for place, (name, sample) in enumerate(recorder.calls):
        if name == "sample":
            record = next(value for kind, value in recorder.calls[place:] if kind == "step")
            assert any(finished is sample for finished in record.finished)
            assert record.step == len(sample.token_ids) - 1


def test_the_steps_recorded_add_up_to_the_samples(sampler: ESampSampler) -> None:
    recorder = Recorder()
    result = sampler.generate(PROMPTS, n=3, max_new_tokens=12, batch_size=1, callbacks=[recorder])
    columns: dict[tuple[int, int], list[StepRecord]] = {}
    for record in recorder.of("step"):
        rows = list(zip(record.prompt.tolist(), record.sample.tolist(), strict=True))
        assert len(record.loss) == 1
        for place, row in enumerate(rows):
            sample, step = result.samples[row[0]][row[1]], record.step
            columns.setdefault(row, []).append(record)
            assert record.drawn.tokens[place] == sample.token_ids[step]
            assert record.drawn.log_probs[place] == sample.log_probs[step]
            assert record.fused.error_norm[place] == sample.novelty[step]
            assert record.fused.kl[place] == sample.kl[step]
            assert record.fused.candidates.count()[place] == sample.candidates[step]
            torch.testing.assert_close(record.fused.log_probs[place].exp().sum(), torch.tensor(1.0))
        assert record.loss[0] == result.diagnostics.loss[rows[0][0], record.step]
    for (prompt, index), records in columns.items():
        assert [record.step for record in records] == list(range(len(result.samples[prompt][index].token_ids)))


def test_several_callbacks_are_called_in_the_order_given(sampler: ESampSampler) -> None:
    order: list[str] = []

    class Named(Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        @override
        def on_step(self, record: StepRecord) -> None:
            order.append(self.name)

    sampler.generate("Hi", n=1, max_new_tokens=2, ignore_eos=True, callbacks=[Named("a"), Callback(), Named("b")])
    assert order == ["a", "b", "a", "b"]


@pytest.mark.parametrize("hook", ["start", "step", "sample", "end"])
def test_a_callback_that_raises_ends_the_run_and_leaves_nothing_behind(sampler: ESampSampler, hook: str) -> None:
    model = sampler.engine.model.train()
    other, failing = Recorder(), Recorder(fails=hook)
    with pytest.raises(RuntimeError, match=f"^{hook} fails$") as caught:
        sampler.generate(PROMPTS, n=2, max_new_tokens=6, callbacks=[other, failing])
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())
    assert all(module.training for module in model.modules())
    model.eval()
    for recorder in (other, failing):
        assert recorder.of("exception") == [caught.value]
        assert recorder.calls[-1][0] == "exception"
    # The sampler goes on working.
    assert len(sampler.generate("Hi", n=2, max_new_tokens=3).samples[0]) == 2


def test_an_error_in_the_prefill_leaves_nothing_behind(sampler: ESampSampler, monkeypatch: pytest.MonkeyPatch) -> None:
    model, recorder = sampler.engine.model.train(), Recorder()

    def fails(*_: Any) -> Any:
        raise MemoryError("out of memory")

    monkeypatch.setattr(sampler.engine, "forward", fails)
    with pytest.raises(MemoryError):
        sampler.generate("Hi", n=2, callbacks=[recorder])
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())
    assert all(module.training for module in model.modules())
    assert [name for name, _ in recorder.calls] == ["start", "exception"]
    model.eval()


def test_every_sample_is_a_line_of_json(sampler: ESampSampler, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "samples.jsonl"
    writer = JSONLWriter(path)
    for _ in range(2):  # the second run overwrites the first
        result = sampler.generate(PROMPTS, n=3, max_new_tokens=6, callbacks=[writer])
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        wanted = [sample.to_dict() for samples in result.samples for sample in samples]
        assert sorted(lines, key=lambda line: (line["prompt"], line["index"])) == json.loads(json.dumps(wanted))


def test_a_broken_run_leaves_the_finished_samples_as_whole_lines(sampler: ESampSampler, tmp_path: Path) -> None:
    class Interrupt(Callback):
        @override
        def on_step(self, record: StepRecord) -> None:
            if record.step == 3:
                raise KeyboardInterrupt

    path, recorder = tmp_path / "samples.jsonl", Recorder()
    writer = JSONLWriter(path)
    with pytest.raises(KeyboardInterrupt):
        sampler.generate(PROMPTS, n=16, max_new_tokens=12, callbacks=[recorder, writer, Interrupt()])
    text = path.read_text()
    assert text.endswith("\n")
    assert [json.loads(line) for line in text.splitlines()] == json.loads(
        json.dumps([sample.to_dict() for sample in recorder.of("sample")])
    )
    assert len(recorder.of("sample")) > 0
    with pytest.raises(RuntimeError, match="on_generate_start"):
        writer.on_sample_end(recorder.of("sample")[0])  # its file is closed


def test_a_lightning_logger_gets_settings_and_metrics(sampler: ESampSampler, tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="run", version="one")
    recorder = Recorder()
    result = sampler.generate(
        PROMPTS, n=2, max_new_tokens=6, ignore_eos=True, callbacks=[recorder, LoggerCallback(logger, every=2)]
    )
    with (tmp_path / "run" / "one" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [0, 2, 4]
    for row in rows:
        record = recorder.of("step")[int(row["step"])]
        assert float(row["esamp/loss"]) == pytest.approx(record.loss.mean().item())
        assert float(row["esamp/error_norm"]) == pytest.approx(record.fused.error_norm.mean().item())
        assert float(row["esamp/kl"]) == pytest.approx(record.fused.kl.mean().item())
        assert float(row["esamp/candidates"]) == pytest.approx(record.fused.candidates.count().float().mean().item())
    assert f"distiller: {result.settings['distiller']}" in (tmp_path / "run" / "one" / "hparams.yaml").read_text()


def test_what_plain_sampling_does_not_have_is_not_logged(sampler: ESampSampler, tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="run", version="one")
    sampler.generate("Hi", n=2, max_new_tokens=3, beta=0, ignore_eos=True, callbacks=[LoggerCallback(logger)])
    with (tmp_path / "run" / "one" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [set(row) for row in rows] == [{"step", "esamp/kl", "esamp/candidates"}] * 3


@pytest.mark.parametrize(("every", "error"), [(0, ValueError), (1.5, TypeError)])
def test_the_logging_interval_is_checked(tmp_path: Path, every: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="every"):
        LoggerCallback(CSVLogger(tmp_path), every=every)


@pytest.mark.parametrize("shown", ["progress", "callback"])
def test_the_progress_bar_writes_to_stderr_only(
    sampler: ESampSampler, capsys: pytest.CaptureFixture[str], shown: str
) -> None:
    how: dict[str, Any] = {"progress": True} if shown == "progress" else {"callbacks": [ProgressBar("my run")]}
    sampler.generate(PROMPTS, n=2, max_new_tokens=6, **how)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("esamp" if shown == "progress" else "my run") in err


def test_the_progress_bar_counts_tokens_and_finished_samples(sampler: ESampSampler) -> None:
    bar, shown = ProgressBar(), []

    class Reader(Callback):
        @override
        def on_step(self, record: StepRecord) -> None:
            assert bar._bar is not None
            shown.append((bar._bar.n, bar._bar.postfix))

    result = sampler.generate(PROMPTS, n=2, max_new_tokens=6, callbacks=[bar, Reader()])
    lengths = [len(sample.token_ids) for samples in result.samples for sample in samples]
    for step, (tokens, text) in enumerate(shown, 1):
        assert tokens == sum(min(length, step) for length in lengths)
        assert text == f"{sum(length <= step for length in lengths)}/4 samples"
    assert shown[-1] == (result.tokens, "4/4 samples")


def test_without_progress_nothing_is_written(sampler: ESampSampler, capsys: pytest.CaptureFixture[str]) -> None:
    sampler.generate(PROMPTS, n=2, max_new_tokens=6)
    assert capsys.readouterr() == ("", "")


def test_the_progress_bar_is_closed_after_an_error(sampler: ESampSampler) -> None:
    bar = ProgressBar()
    with pytest.raises(RuntimeError, match="step fails"):
        sampler.generate("Hi", n=2, callbacks=[bar, Recorder(fails="step")])
    assert bar._bar is None
