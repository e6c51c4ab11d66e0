"""What a result was made with stands beside it, and rows without that are not gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esamp.studies.rows import read_rows

STUDY = """
model: MODEL
tasks: {prompts: {prompts: [one two], max_new_tokens: 3}}
n: 2
temperatures: [0.7]
arms: {ESamp: {beta: 0.5}}
"""


def test_samples_have_their_manifest_beside_them(generate: Callable[..., Any], tmp_path: Path, model: str) -> None:
    out = tmp_path / "out.jsonl"
    assert generate("Hi", "Ho", "--json", str(out), "--seed", "3", "--beta", "linear:1:0:4").code == 0
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert {"esamp", "commit", "versions", "machine", "command", "started"} <= set(manifest)
    assert manifest["model"] | {"hash": ""} == {"name": model, "hash": "", "dtype": "float32"}
    assert len(manifest["model"]["hash"]) == 64
    wanted = {
        "seed": 3,
        "beta": "linear:1:0:4",
        "n": 2,
        "prompts": ["Hi", "Ho"],
        "distiller": "recursive_least_squares",
    }
    assert wanted.items() <= manifest["settings"].items()


@pytest.mark.parametrize("left", ["all", "some"])
def test_rows_without_a_manifest_are_told_of_with_the_way_out(
    esamp: Any, tmp_path: Path, model: str, left: str
) -> None:
    study, out = tmp_path / "study.yaml", tmp_path / "out"
    study.write_text(STUDY.replace("MODEL", model))
    command = ("eval", str(study), "--accelerator", "cpu", "--out")
    assert esamp(*command, str(out)).code == 0
    manifest = (out / "manifest.json").read_text()
    (out / "manifest.json").unlink()
    if left == "some":
        next((out / "rows").iterdir()).unlink()
    got = esamp(*command, str(out))
    assert got.code == 2 and got.err.count("\n") == 1
    assert f"{out / 'manifest.json'} is gone" in got.err and "put it back, or choose another --out" in got.err
    # Both ways out are ways out.
    assert esamp(*command, str(tmp_path / "other")).code == 0
    (out / "manifest.json").write_text(manifest)
    assert esamp(*command, str(out)).code == 0
    assert len(read_rows(out)) == 4
