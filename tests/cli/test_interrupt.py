from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from esamp.callbacks import JSONLWriter


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_ctrl_c_leaves_complete_lines_and_says_how_many(generate, tmp_path: Path, monkeypatch, finished: int):
    """The signal comes in the middle of a run: when `finished` samples are on disk and the next is about to be."""
    write = JSONLWriter.on_sample_end
    count = 0

    def interrupted(self: JSONLWriter, sample) -> None:
        nonlocal count
        if count == finished:
            signal.raise_signal(signal.SIGINT)
        count += 1
        write(self, sample)

    monkeypatch.setattr(JSONLWriter, "on_sample_end", interrupted)
    out = tmp_path / "out.jsonl"
    got = generate("Hi", "Ho", "--json", str(out))
    assert got.code == 130
    assert got.err == f"esamp: interrupted; {finished} of 4 samples are saved in {out}\n"
    assert [bool(json.loads(line)["token_ids"]) for line in out.read_text().splitlines()] == [True] * finished


def test_ctrl_c_before_the_first_step_leaves_an_older_file_alone(generate, tmp_path: Path, monkeypatch):
    def interrupted(options) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("esamp.cli.generate.make_sampler", interrupted)
    out = tmp_path / "out.jsonl"
    out.write_text("of yesterday\n")
    got = generate("Hi", "--json", str(out))
    assert got.code == 130
    assert got.err == f"esamp: interrupted; no sample was finished, {out} is as it was\n"
    assert out.read_text() == "of yesterday\n"


def test_ctrl_c_without_a_file_says_how_to_keep_samples(generate, monkeypatch):
    def interrupted(*args, **kwargs) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("esamp.cli.generate.timed_run", interrupted)
    got = generate("Hi")
    assert got.code == 130
    assert got.err == "esamp: interrupted; no sample is saved, use --json FILE to keep them as they finish\n"


def test_a_real_signal_to_a_real_process(model: str, tmp_path: Path):
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "esamp", "generate", *["Hi"] * 8, "--model", model, "-n", "64", "--no-compare"]
    command += ["--max-new-tokens", "200", "--batch-size", "1", "--json", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
    while process.poll() is None and not (out.exists() and out.stat().st_size):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=120)[1]
    text = out.read_text()
    assert process.returncode == 130
    assert text.endswith("\n") and all(json.loads(line) for line in text.splitlines())
    assert err == f"esamp: interrupted; {len(text.splitlines())} of 512 samples are saved in {out}\n"
