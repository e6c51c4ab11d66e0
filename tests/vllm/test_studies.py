"""A study's file runs on vLLM as it does on transformers: the same rows, stopped and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from esamp.studies.manifest import read_manifest
from esamp.studies.rows import read_rows, row_schema

STUDY = """
model: MODEL
dtype: float32
engine: ENGINE
tasks:
  prompts: {prompts: [the sea is wide, a bird in the hand], max_new_tokens: 8}
n: 3
seeds: [0]
batch_size: 1
temperatures: [0.7, 1.0]
common: {min_p: 0.02}
arms:
  ESamp: {beta: 0.5}
  low rank: {beta: 0.5, distiller: {class_path: low_rank, init_args: {rank: 4}}, sharing: whole_batch}
"""
OPTIONS = "engine_options: {enforce_eager: true, max_model_len: 128}"


def evaluate(study: Path, out: Path) -> subprocess.Popen[str]:
    """A process of its own, as on the command line: one in which engines may come and go."""
    environment = {name: value for name, value in os.environ.items() if name != "VLLM_ENABLE_V1_MULTIPROCESSING"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "esamp", "eval", str(study), "--out", str(out), "--accelerator", "cpu"]
    environment |= {"PYTHONPATH": str(root), "ESAMP_CACHE": str(out.parent / "cache")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def rows(out: Path) -> dict[tuple[object, ...], dict[str, object]]:
    return {(row["arm"], row["problem"], row["index"]): row for row in read_rows(out).to_pylist()}


def test_a_study_runs_on_both_engines_and_goes_on_where_it_was_stopped(tiny_folder: Path, tmp_path: Path) -> None:
    for engine in ("huggingface", "vllm"):
        text = STUDY.replace("MODEL", str(tiny_folder)).replace("ENGINE", engine)
        (tmp_path / f"{engine}.yaml").write_text(text + (OPTIONS if engine == "vllm" else ""))
    out = tmp_path / "vllm"
    begun = evaluate(tmp_path / "vllm.yaml", out)
    while begun.poll() is None and not list((out / "rows").glob("*.parquet")):
        time.sleep(0.1)
    begun.send_signal(signal.SIGTERM)
    said, _ = begun.communicate(timeout=120)
    assert begun.returncode == 143, said
    kept = {file.name: file.stat().st_mtime_ns for file in (out / "rows").glob("*.parquet")}
    assert 0 < len(kept) < 8

    for engine in ("vllm", "huggingface"):
        finished = evaluate(tmp_path / f"{engine}.yaml", tmp_path / engine)
        said, _ = finished.communicate(timeout=300)
        assert finished.returncode == 0, said
    assert {name: (out / "rows" / name).stat().st_mtime_ns for name in kept} == kept

    mine, theirs = rows(out), rows(tmp_path / "huggingface")
    assert read_rows(out).schema == row_schema()
    assert mine.keys() == theirs.keys()
    assert len(mine) == 4 * 2 * 3
    for key, row in mine.items():
        assert row["prompt"] == theirs[key]["prompt"]
        if row["plain"]:
            assert row["token_ids"] == theirs[key]["token_ids"]
        else:
            assert any(row["kl"]), key
    manifest, other = read_manifest(out / "manifest.json"), read_manifest(tmp_path / "huggingface" / "manifest.json")
    assert manifest["model"] == other["model"]
    assert manifest["study"]["engine"] == "vllm"
    assert any(name.startswith("vllm") for name in manifest["versions"])
