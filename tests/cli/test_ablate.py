"""`esamp ablate`: from a YAML file to a table and a figure."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow.parquet
import pytest
import torch

from esamp.metrics import MiniLM
from esamp.studies.rows import read_rows

STUDY = """
model: MODEL
tasks: {prompts: {prompts: [one two three, four five]}}
n: 3
max_new_tokens: 6
seeds: [0, 1]
temperatures: [0.5, 1.5]
common: {min_p: 0.01}
grid:
  distiller: [recursive_least_squares, {class_path: low_rank, init_args: {rank: 4}}]
  beta: [0.5, 1.0]
arms:
  never learns: {distiller: frozen, beta: linear:0.5:0:4, waves: 2}
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch):
    """Embeddings by the letters of a text: the scores of a tiny model's words mean nothing anyway."""

    def embed(self: MiniLM, texts: list[str]) -> torch.Tensor:
        counts = torch.tensor([[1.0 + text.count(letter) for letter in "abcdefghij"] for text in texts])
        return torch.nn.functional.normalize(counts, dim=-1)

    monkeypatch.setattr(MiniLM, "__init__", lambda self: None)
    monkeypatch.setattr(MiniLM, "__call__", embed)


@pytest.fixture
def study(tmp_path: Path, model: str) -> Path:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.replace("MODEL", model))
    return file


def rows(out: Path) -> list[dict]:
    return pyarrow.parquet.read_table(out / "table.parquet").to_pylist()


def test_a_study_becomes_a_tidy_table_a_summary_and_figures(esamp, study: Path, tmp_path: Path):
    out = tmp_path / "out"
    got = esamp("ablate", str(study), "--out", str(out))
    assert got.code == 0, got.err
    assert "7 arms x 1 tasks x 2 seeds: 14 units of at most 8 problems, 84 rows" in got.out
    assert got.out.splitlines()[-1] == str(out / "frontier.png")
    found = rows(out)
    assert len(found) == 7 * 2 * 2
    names = list(dict.fromkeys(row["arm"] for row in found))
    assert names == [
        "plain T=0.5",
        "plain T=1.5",
        "recursive_least_squares, beta 0.5",
        "recursive_least_squares, beta 1.0",
        "low_rank(rank=4), beta 0.5",
        "low_rank(rank=4), beta 1.0",
        "never learns",
    ]
    last = found[-1]
    assert (last["distiller"], last["beta_schedule"], last["waves"], last["min_p"]) == (
        "frozen",
        "linear:0.5:0:4",
        2,
        0.01,
    )
    assert {row["beta"] for row in found if row["arm"].startswith("low")} == {0.5, 1.0}
    summary = (out / "summary.md").read_text()
    assert summary.count("\n") == 2 + 7
    assert all(name in summary and name in got.out for name in names)
    assert (out / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "frontier.svg").read_text()


def test_it_scores_what_eval_has_drawn(esamp, study: Path, tmp_path: Path, monkeypatch):
    out = tmp_path / "out"
    assert esamp("eval", str(study), "--out", str(out)).code == 0
    monkeypatch.setattr("esamp.studies.engines.huggingface.load", lambda *_: pytest.fail("a model was loaded"))
    got = esamp("ablate", str(study), "--out", str(out))
    assert got.code == 0, got.err
    assert len(rows(out)) == 7 * 2 * 2
    drawn = read_rows(out).to_pylist()
    for row in rows(out):
        of = [each for each in drawn if all(each[key] == row[key] for key in ("arm", "task", "problem", "seed"))]
        assert row["mean_length"] == pytest.approx(sum(len(each["token_ids"]) for each in of) / 3)
        logs = [value for each in of for value in each["reference_log_probs"]]
        assert row["perplexity"] == pytest.approx(math.exp(-sum(logs) / len(logs)), rel=1e-5)


BAD = {
    "one temperature": ("[0.5, 1.5]", "[0.5]", "temperatures must hold at least 2 to make a line of"),
    "one sample": ("n: 3", "n: 1", "n must be at least 2, got 1; diversity is between samples"),
    "one prompt": ("[one two three, four five]", "[one]", "tasks must hold at least 2 problems, got 1"),
    "no prompts": ("[one two three, four five]", "[]", "prompts must hold at least one, got none"),
    "a file that is not there": ("prompts: [one two three, four five]", "file: no.txt", "file must hold one prompt"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_study_is_one_line_and_exit_code_2(esamp, study: Path, tmp_path: Path, monkeypatch, case: str):
    monkeypatch.setattr("esamp.studies.engines.huggingface.load", lambda *_: pytest.fail("a model was loaded first"))
    before, after, said = BAD[case]
    assert before in study.read_text()
    study.write_text(study.read_text().replace(before, after))
    got = esamp("ablate", str(study), "--out", str(tmp_path / "out"))
    assert got.code == 2
    assert got.err.count("\n") == 1
    assert said in got.err


def test_one_study_at_a_time(esamp):
    assert "study must be one YAML file" in esamp("ablate").err


def test_the_shipped_study_can_be_read():
    from esamp.cli.study_file import read_study

    shipped = read_study(str(Path(__file__).parents[2] / "studies" / "parts.yaml"))
    assert [len(task.problems) for task in shipped.tasks] == [8]
    assert any("frozen" in arm.name for arm in shipped.arms)
