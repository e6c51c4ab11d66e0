"""`esamp bench vllm` from end to end on a tiny model: what it says adds up, and a no-op cannot pass for ESamp."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from esamp.studies.speed.against_vllm import AgainstVLLM, profile_rows
from esamp.studies.speed.vllm_process import PARTS, Lap

ROOT = Path(__file__).parents[2]
_ENGINE = {"enforce_eager": True, "dtype": "float32", "max_model_len": 128, "max_num_seqs": 16}


def test_the_bench_measures_both_sides_and_the_parts(tiny_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "esamp", "bench", "vllm", "--model", str(tiny_folder), "--prompts", "2"]
    command += ["-n", "3", "--max-new-tokens", "8", "--rounds", "2", "--json", str(tmp_path / "record.json")]
    run = subprocess.run(
        [*command, "--engine", json.dumps(_ENGINE)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "with ESamp: " in run.stdout
    assert "alternating rounds" in run.stdout
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["bench"] == "vllm"
    assert record["settings"]["esamp"]["max_groups"] == 2
    runs = record["result"]["runs"]
    assert [len(runs[side]) for side in ("plain", "tapped", "explored", "doubled")] == [2, 2, 2, 2]
    assert {lap["tokens"] for side in runs.values() for lap in side} == {2 * 3 * 8}
    assert {lap["explored"] for side in ("explored", "doubled") for lap in runs[side]} == {2 * 3 * 8}
    assert {lap["explored"] for side in ("plain", "tapped") for lap in runs[side]} == {0}
    parts = record["result"]["parts"]
    assert parts.keys() == PARTS.keys()
    assert all(parts[part] > 0 for part in ("engine", "widen", "requests", "filters", "predict", "learn", "draw"))


def test_the_loss_is_that_of_each_round() -> None:
    plain = [Lap(1.0, 2.0, 100, 0), Lap(2.0, 2.0, 100, 0)]
    explored = [Lap(2.0, 2.5, 100, 100), Lap(2.0, 2.5, 100, 100)]
    measured = AgainstVLLM(plain, plain, explored, explored, dict.fromkeys(PARTS, 0.1))
    assert measured.loss(explored).median == pytest.approx(0.25)
    assert measured.loss(explored, "cpu").median == pytest.approx(0.2)
    assert measured.loss(plain).median == 0
    assert len(profile_rows(measured)) == len(PARTS)
