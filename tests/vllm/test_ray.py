"""A job on a local Ray cluster of two workers: the samples do not depend on how many engines there are."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import ray

from esamp.ray_job import COLUMNS, RayJob

PROMPTS = ["the sea is wide", "a bird in the hand", "once upon a time", "two of them"]
N = 3
ENGINE = {"dtype": "float32", "enforce_eager": True, "max_model_len": 128}
SAMPLER = {**ENGINE, "beta": 0.5, "esamp": {"max_groups": 2, "max_lanes": N}}


@pytest.fixture(scope="module")
def cluster() -> Generator[None]:
    root = str(Path(__file__).parents[2])
    environment = {"PYTHONPATH": root, "VLLM_ENABLE_V1_MULTIPROCESSING": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    environment["VLLM_CPU_KVCACHE_SPACE"] = os.environ["VLLM_CPU_KVCACHE_SPACE"]
    # Two for the engines, and two for reading and writing.
    ray.init(num_cpus=4, include_dashboard=False, runtime_env={"env_vars": environment})
    yield
    ray.shutdown()


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    table = pyarrow.table({"prompt": PROMPTS, "id": list(range(len(PROMPTS))), "source": ["book"] * len(PROMPTS)})
    # Four blocks, so that there is something to share out.
    (tmp_path / "prompts").mkdir()
    for row in range(len(PROMPTS)):
        pyarrow.parquet.write_table(table.slice(row, 1), tmp_path / "prompts" / f"{row}.parquet")
    return tmp_path / "prompts"


def drawn(out: Path) -> dict[tuple[int, int], dict[str, Any]]:
    rows = pyarrow.parquet.read_table(out).to_pylist()
    found = {(row["id"], row["sample"]): row for row in rows}
    assert len(found) == len(rows), "no sample stands there twice"
    return found


def test_one_engine_and_two_draw_the_same_and_a_job_goes_on(
    cluster: None, prompts: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    def job(out: str, source: Path = prompts, engines: int = 1) -> RayJob:
        options = {"n": N, "max_new_tokens": 6, "seed": 3, "min_p": 0.02}
        sampler = {"model": str(tiny_folder), **SAMPLER}
        more = {"key": "id", "engines": engines, "batch_size": 1}
        return RayJob(str(source), str(tmp_path / out), sampler, options, **more)

    assert job("two", engines=2).run() == len(PROMPTS)
    two = drawn(tmp_path / "two")
    assert set(two) == {(prompt, sample) for prompt in range(len(PROMPTS)) for sample in range(N)}
    assert {*COLUMNS, "prompt", "id", "source"} == set(two[0, 0])
    assert all(row["prompt"] == PROMPTS[prompt] and row["source"] == "book" for (prompt, _), row in two.items())
    assert len({row["text"] for row in two.values()}) > len(PROMPTS)

    # One prompt alone, and then the rest of them in the same folder.
    assert job("one", source=prompts / "2.parquet").run() == 1
    kept = {file: file.read_bytes() for file in (tmp_path / "one").glob("*.parquet")}
    assert job("one").run() == len(PROMPTS) - 1
    assert {file: file.read_bytes() for file in kept} == kept
    one = drawn(tmp_path / "one")
    assert {key: row["token_ids"] for key, row in one.items()} == {key: row["token_ids"] for key, row in two.items()}
    assert job("one").run() == 0
