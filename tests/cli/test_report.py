"""`esamp report`: from the folder of a run to a page, and clear words where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from esamp.metrics import MiniLM
from tests.report.conftest import letters
from tests.report.synthetic import rows, write_run


@pytest.fixture
def run(tmp_path: Path, model: str, tokenizer) -> Path:
    made = rows(lambda text: tokenizer(text, add_special_tokens=False)["input_ids"], problems=3, n=3)
    return write_run(tmp_path / "run", list(made), model=model)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(MiniLM, "__init__", lambda self: None)
    monkeypatch.setattr(MiniLM, "__call__", lambda self, texts: letters(texts))


def test_a_run_becomes_a_page_figures_and_summaries(esamp, run: Path):
    got = esamp("report", str(run))
    assert got.code == 0, got.err
    assert got.out.splitlines()[-1] == str(run / "report.html")
    summary = json.loads((run / "summary.json").read_text())
    first = summary["words"]["paragraph"][0]
    assert first in got.out and first in (run / "summary.md").read_text()
    page = (run / "report.html").read_text()
    assert "no colour" not in page
    figures = {path.name for path in (run / "figures").iterdir()}
    assert {f"{name}.{form}" for name in ("pass-naming", "cosine-telling") for form in ("png", "svg")} <= figures
    assert esamp("report", str(run)).code == 0
    assert (run / "report.html").read_text() == page


def test_samples_that_loop_may_count_for_nothing(esamp, model: str, tokenizer, tmp_path: Path):
    made = list(rows(lambda text: tokenizer(text, add_special_tokens=False)["input_ids"], problems=3, n=3))
    looping = [row for row in made if row["task"] == "telling" and row["index"] == 0]
    for row in looping:
        columns = ("token_ids", "log_probs", "reference_log_probs", "novelty", "kl", "candidates")
        row |= {name: row[name][:1] * 64 for name in columns if row[name] is not None}
    run = write_run(tmp_path / "run", made, model=model)
    assert esamp("report", str(run)).code == 0
    whole = json.loads((run / "summary.json").read_text())["tasks"]["telling"]["arms"]
    got = esamp("report", str(run), "--no-loops")
    assert got.code == 0, got.err
    assert f"{len(looping)} of {len(made)} samples end in a loop and count for nothing." in got.out
    assert got.out.splitlines()[-1] == str(run / "report-no-loops.html")
    summary = json.loads((run / "summary-no-loops.json").read_text())["tasks"]["telling"]
    assert summary["n"] == 2
    for name, arm in summary["arms"].items():
        assert whole[name]["scores"]["looping"]["value"] > 0 == arm["scores"]["looping"]["value"]


def test_without_embeddings_and_with_a_baseline(esamp, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(MiniLM, "__init__", lambda self: pytest.fail("nothing is to be embedded"))
    out = tmp_path / "elsewhere" / "page.html"
    got = esamp("report", str(run), "--no-embed", "--baseline", "plain T=1", "--out", str(out))
    assert got.code == 0, got.err
    assert "were not measured (--no-embed)" in out.read_text()
    contrasts = json.loads((run / "summary.json").read_text())["tasks"]["naming"]["contrasts"]
    assert {c["against"] for c in contrasts if c["headline"] and c["kind"] == "plain"} == {"plain T=1"}


def test_without_the_tokenizer_there_is_a_page_without_colours(esamp, run: Path):
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"model": {"name": "nobody/has-this"}}))
    assert esamp("report", str(run)).code == 0
    assert "no colour: the tokenizer" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda table: table.drop_columns(["kl"]), "must have the column 'kl', got"),
        (lambda table: table.set_column(0, "arm", pyarrow.array([1] * len(table))), "column 'arm' of"),
        (lambda table: table.slice(0, 0), "holds no sample; run `esamp eval`"),
    ],
)
def test_rows_that_are_none_are_refused_by_name(esamp, run: Path, change: Any, wanted: str):
    files = sorted((run / "rows").iterdir())
    table = pyarrow.parquet.read_table(files[0])
    for file in files[1:]:
        file.unlink()
    pyarrow.parquet.write_table(change(table), files[0])
    got = esamp("report", str(run))
    assert got.code == 2 and wanted in got.err and got.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], "run must be one folder"),
        (["RUN", "--baseline", "nobody"], "baseline must be one of"),
        (["RUN", "--out", "/"], "out must be a file"),
        (["nowhere"], "run must be a folder that `esamp eval` wrote"),
    ],
)
def test_bad_input_is_said_in_one_line(esamp, run: Path, arguments: list[str], wanted: str):
    got = esamp("report", *(str(run) if word == "RUN" else word for word in arguments))
    assert got.code == 2 and wanted in got.err and got.err.count("\n") == 1


@pytest.mark.parametrize(("text", "wanted"), [("{", "must hold JSON"), ("[]", "must hold a JSON object, got a list")])
def test_a_manifest_that_is_none_is_refused(esamp, run: Path, text: str, wanted: str):
    (run / "manifest.json").write_text(text)
    got = esamp("report", str(run))
    assert got.code == 2 and wanted in got.err


def test_a_file_that_is_no_parquet_is_named(esamp, run: Path):
    (run / "rows" / "z.parquet").write_text("no")
    assert "z.parquet' must be a parquet file" in esamp("report", str(run)).err
