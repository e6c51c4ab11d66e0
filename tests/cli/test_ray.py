"""`esamp ray`: what is wrong with the prompts is said before an engine starts, whether Ray is there or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest


def written(path: Path, **columns: Any) -> str:
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return str(path)


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ({"text": ["a"]}, (), "column must be one of text, got 'prompt'"),
        ({"prompt": ["a"]}, ("--key", "id"), "key must be one of prompt, got 'id'"),
        ({"prompt": ["a", None, ""]}, (), "2 rows of 'prompt' hold none"),
        ({"prompt": [1]}, (), "column must hold text, and 'prompt' holds int64"),
        ({"prompt": ["a"], "text": ["b"]}, (), "prompts must not have a column 'text'"),
        ({"prompt": ["a"]}, ("--engines", "0"), "engines must be"),
        ({"prompt": ["a"]}, ("--esamp", "[]"), "esamp must be a JSON object"),
    ],
)
def test_wrong_prompts_and_options_are_one_line(
    tmp_path: Path, esamp: Any, columns: dict[str, Any], options: tuple[str, ...], said: str
):
    prompts = written(tmp_path / "prompts.parquet", **columns)
    got = esamp("ray", prompts, "--out", str(tmp_path / "out"), *options)
    assert got.code == 2
    assert got.err.count("\n") == 1
    assert said in got.err


def test_what_is_no_parquet_is_said(tmp_path: Path, esamp: Any):
    file = tmp_path / "prompts.txt"
    file.write_text("one")
    got = esamp("ray", str(file), "--out", str(tmp_path / "out"))
    assert got.code == 2
    assert "prompts must be a parquet file or a folder" in got.err
    assert "prompts must be one parquet file" in esamp("ray", "--out", "x").err


def test_a_folder_with_samples_wants_a_key(tmp_path: Path, esamp: Any):
    prompts = written(tmp_path / "prompts.parquet", prompt=["a"], id=[1])
    out = tmp_path / "out"
    out.mkdir()
    written(out / "0.parquet", prompt=["a"], id=[1])
    got = esamp("ray", prompts, "--out", str(out))
    assert got.code == 2
    assert "key must name a column that tells the prompts apart" in got.err
