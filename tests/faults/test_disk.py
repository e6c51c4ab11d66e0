"""A disk that is full: what was there is whole, the message says what could not be written, and going on works."""

from __future__ import annotations

import json
import random
import resource
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esamp.studies.rows import read_rows
from esamp.training import pairs as pairs_on_disk

_fixtures = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


@contextmanager
def no_file_above(size: int) -> Generator[None]:
    """The kernel takes no more than `size` bytes of any file: the last write that fits in part is taken in part."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@settings(max_examples=6, suppress_health_check=_fixtures)
@given(share=st.floats(0, 1, exclude_max=True))
def test_lines_are_whole_whatever_fits(generate: Callable[..., Any], tmp_path: Path, share: float) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    assert generate("one", "two", "--json", str(whole)).code == 0
    size = int(share * whole.stat().st_size)
    with pytest.MonkeyPatch.context() as patch, no_file_above(size):
        patch.setattr("esamp.cli.run_manifest.write_manifest", lambda *_: None)  # it may be longer than the lines
        got = generate("one", "two", "--json", str(cut))
    assert got.code == 2 and got.err.startswith("esamp: error: ") and got.err.count("\n") == 1
    assert str(cut) in got.err or "File too large" in got.err
    lines = whole.read_text().splitlines(keepends=True)
    fits = [line for i, line in enumerate(lines) if len("".join(lines[: i + 1]).encode()) <= size]
    assert cut.read_text() == "".join(fits)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_device_that_is_full_is_named(generate: Callable[..., Any]) -> None:
    got = generate("one", "--json", "/dev/full")
    assert got.code == 2 and "No space left on device" in got.err and got.err.count("\n") == 1


STUDY = """
model: MODEL
tasks: {prompts: {prompts: [one two, three], max_new_tokens: 4}}
n: 2
seeds: [0, 1]
temperatures: [0.7]
arms: {ESamp: {beta: 0.5}}
"""


@settings(max_examples=6, suppress_health_check=_fixtures)
@given(size=st.integers(0, 12000))
def test_a_study_keeps_whole_files_and_goes_on(esamp: Any, model: str, tmp_path: Path, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESAMP_CACHE", str(tmp_path / "cache"))
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        study = tmp_path / "study.yaml"
        study.write_text(STUDY.replace("MODEL", model))
        command = ("eval", str(study), "--out", str(out), "--accelerator", "cpu")
        with no_file_above(size):
            got = esamp(*command)
        if got.code:
            assert got.code == 2 and got.err.startswith("esamp: error: ") and got.err.count("\n") == 1, got.err
        if list((out / "rows").glob("*")):
            read_rows(out)
        if (out / "manifest.json").exists():
            assert json.loads((out / "manifest.json").read_text())["starts"]
        assert not list(out.glob("*.tmp"))
        assert esamp(*command).code == 0
        assert len(read_rows(out)) == 2 * 2 * 2 * 2


@pytest.mark.parametrize("size", [0, 3000, 40_000])
def test_a_fit_says_what_it_could_not_write(esamp: Any, model: str, tmp_path: Path, size: int) -> None:
    text, out = tmp_path / "book.txt", tmp_path / "out"
    text.write_text(" ".join(random.Random(0).choices(["the", "keeper", "found", "a", "bottle"], k=200)))
    command = ("fit", str(text), "--model", model, "--out", str(out), "--window", "32", "--distiller.rank", "2")
    command += ("--trainer.accelerator", "cpu", "--trainer.max_epochs", "2")
    with no_file_above(size):
        got = esamp(*command)
    assert got.code == 2 and got.err.startswith("esamp: error: ") and got.err.count("\n") == 1, got.err
    assert not (out / "trunk.safetensors").exists()
    assert not list(out.rglob("*.part")) and not list(out.rglob("*.partial"))
    assert esamp(*command).code == 0


def test_start_weights_of_before_stay_whole(tmp_path: Path) -> None:
    from esamp.distillers import LowRankDistiller
    from esamp.distillers.start_file import read_start, write_start

    distiller, path = LowRankDistiller(rank=2), tmp_path / "trunk.safetensors"
    distiller.setup(8, 1)
    weights = {name: distiller.start(name) for name in distiller._names}
    write_start(path, distiller, weights, 8, model="tiny", release="0")
    before = path.read_bytes()
    with (
        no_file_above(16),
        pytest.raises(OSError, match=r"start weights cannot be written to .* an older file is as it"),
    ):
        write_start(path, distiller, weights, 8, model="tiny", release="0")
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert read_start(path).hidden_size == 8


def test_a_recording_with_a_changed_byte_is_made_anew(tmp_path: Path) -> None:
    import torch

    shard = (torch.zeros(4, 2), torch.ones(4, 2))
    pairs_on_disk.write_pairs(tmp_path / "pairs", {"a": 1}, lambda: iter([shard]))
    assert pairs_on_disk.open_pairs(tmp_path / "pairs", {"a": 1}) is not None
    (file,) = (tmp_path / "pairs").glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert pairs_on_disk.open_pairs(tmp_path / "pairs", {"a": 1}) is None
