"""Ctrl-C and SIGTERM at moments that hypothesis chooses: what was complete is on disk, and going on gives the same."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from esamp.callbacks import JSONLWriter
from esamp.studies.rows import read_rows
from tests.faults.signals import moments

_chosen = {
    "share": st.floats(0, 1, exclude_max=True),
    "sent": st.sampled_from([(signal.SIGINT, 130), (signal.SIGTERM, 143)]),
}
_fixtures = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)

STUDY = """
model: MODEL
tasks: {prompts: {prompts: [one two three, four five, six seven], max_new_tokens: 5}}
n: 2
seeds: [0, 1]
batch_size: 2
temperatures: [0.7]
arms: {ESamp: {beta: 0.5}}
"""
ROWS = 2 * 2 * 3 * 2


# What an undisturbed run of each command left, and how many calls it took: the same for all examples.
_undisturbed: dict[str, tuple[Any, int]] = {}


def undisturbed(name: str, run: Callable[[], Any]) -> tuple[Any, int]:
    if name not in _undisturbed:
        run()  # what is imported and cached on first use is no part of the course
        with moments() as calls:
            left = run()
        _undisturbed[name] = (left, calls())
    return _undisturbed[name]


def fresh(tmp_path: Path) -> Path:
    """A folder of its own for every example."""
    return next(folder for i in itertools.count() if not (folder := tmp_path / f"example-{i}").exists())


@pytest.fixture
def lines(generate: Callable[..., Any]) -> Callable[..., tuple[Any, list[str]]]:
    """`esamp generate` on three prompts, a batch each: how it ended, and the lines of its file."""

    def run(out: Path) -> tuple[Any, list[str]]:
        got = generate("one", "two three", "four", "--batch-size", "1", "--json", str(out))
        return got, out.read_text().splitlines() if out.exists() else []

    return run


@settings(max_examples=8, suppress_health_check=_fixtures)
@given(**_chosen)
def test_generate(lines: Any, tmp_path: Path, share: float, sent: tuple[int, int]) -> None:
    folder = fresh(tmp_path)
    folder.mkdir()
    whole, total = undisturbed("generate", lambda: lines(folder / "whole.jsonl")[1])
    assert len(whole) == 6
    at = 1 + int(share * total)
    ended: list[int] = []
    write = JSONLWriter.on_sample_end

    def noted(self: JSONLWriter, sample: Any) -> None:
        write(self, sample)
        ended.append(sample.prompt)

    with pytest.MonkeyPatch.context() as patch, moments(at, sent[0]) as calls:
        patch.setattr(JSONLWriter, "on_sample_end", noted)
        got, kept = lines(folder / "cut.jsonl")
    assume(calls() == at)
    assert got.code == sent[1], got
    assert got.err.startswith("esamp: interrupted") and got.err.count("\n") == 1
    # Every sample that was complete, none twice, none half: the first ones of the undisturbed run.
    assert [json.loads(line) for line in kept] == [json.loads(line) for line in whole[: len(kept)]]
    assert len(ended) <= len(kept) <= len(ended) + 1
    if kept:
        assert f"{len(kept)} of 6 samples are saved" in got.err
    assert lines(folder / "cut.jsonl")[1] == whole


@pytest.fixture(scope="module")
def study(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("study") / "study.yaml"
    file.write_text(STUDY.replace("MODEL", model))
    return file


def rows(out: Path) -> list[dict[str, Any]]:
    return [{**row, "seconds": 0.0} for row in read_rows(out).to_pylist()]


@settings(max_examples=6, suppress_health_check=_fixtures)
@given(**_chosen)
def test_eval(esamp: Any, study: Path, tmp_path: Path, share: float, sent: tuple[int, int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESAMP_CACHE", str(study.parent / "cache"))

        def run(out: Path) -> Any:
            return esamp("eval", str(study), "--out", str(out), "--accelerator", "cpu")

        folder = fresh(tmp_path)

        def whole() -> list[dict[str, Any]]:
            shutil.rmtree(folder / "whole", ignore_errors=True)
            assert run(folder / "whole").code == 0
            return rows(folder / "whole")

        wanted, total = undisturbed("eval", whole)
        assert len(wanted) == ROWS
        at = 1 + int(share * total)
        with moments(at, sent[0]) as calls:
            got = run(folder / "cut")
        assume(calls() == at)
        assert got.code == sent[1], got
        assert got.err.startswith("esamp: interrupted") and "Traceback" not in got.err
        kept = rows(folder / "cut") if list((folder / "cut" / "rows").glob("*")) else []
        assert all(row in wanted for row in kept)
        if "rows are in" in got.err:
            assert f"{len(kept)} of {ROWS} rows are in {folder / 'cut'}" in got.err
        # While a unit is under way, its finished samples are whole lines.
        for part in (folder / "cut" / "partial").glob("*.jsonl"):
            assert all(json.loads(line)["token_ids"] for line in part.read_text().splitlines())
        assert run(folder / "cut").code == 0
        assert rows(folder / "cut") == wanted
        assert not (folder / "cut" / "partial").exists()
        assert "finished" in json.loads((folder / "cut" / "manifest.json").read_text())


@settings(max_examples=4, suppress_health_check=_fixtures)
@given(**_chosen)
def test_fit(esamp: Any, model: str, tmp_path: Path, share: float, sent: tuple[int, int]) -> None:
    folder = fresh(tmp_path)
    folder.mkdir()
    text = folder / "book.txt"
    words = ["the", "keeper", "of", "light", "walked", "down", "to", "shore", "found", "a", "bottle", "with", "letter"]
    text.write_text(" ".join(random.Random(0).choices(words, k=200)))

    def run(out: Path, *more: str) -> Any:
        small = ["--window", "32", "--distiller.rank", "2", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "4"]
        return esamp("fit", str(text), "--model", model, "--out", str(out), *small, *more)

    def whole() -> dict[str, Any]:
        shutil.rmtree(folder / "whole", ignore_errors=True)
        assert run(folder / "whole").code == 0
        return load_file(folder / "whole" / "trunk.safetensors")

    wanted, total = undisturbed("fit", whole)
    at = 1 + int(share * total)
    with moments(at, sent[0]) as calls:
        got = run(folder / "cut")
    assume(calls() == at)
    assert got.code == sent[1], got
    assert got.err.startswith("esamp: interrupted") and got.err.count("\n") == 1
    last = folder / "cut" / "checkpoints" / "last.ckpt"
    assert last.is_file() == (f"go on with --resume {last}" in got.err)
    got = run(folder / "cut", *(["--resume", str(last)] if last.is_file() else []))
    if got.code:
        # The signal came when all was trained.
        assert "there was nothing to train" in got.err
    ours = load_file(folder / "cut" / "trunk.safetensors")
    assert all(bool((ours[name] == wanted[name]).all()) for name in wanted)
