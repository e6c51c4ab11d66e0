"""`esamp ablate`: from a YAML file to a table and a figure, stopped and gone on with."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet
import pytest
import torch

from esamp.metrics import MiniLM

STUDY = """
model: MODEL
prompts: [one two three, four five]
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
    assert "7 arms x 2 seeds, 0 cells of 14 done before; 84 samples to draw" in got.out
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


def test_a_stopped_study_goes_on_and_ends_as_an_undisturbed_one(esamp, study: Path, tmp_path: Path, monkeypatch):
    from esamp.sampler import ESampSampler

    generate, calls = ESampSampler.generate, 0

    def interrupted(self, *args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return generate(self, *args, **kwargs)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    esamp("ablate", str(study), "--out", str(whole))
    monkeypatch.setattr(ESampSampler, "generate", interrupted)
    got = esamp("ablate", str(study), "--out", str(parts))
    assert got.code == 130
    assert got.err == f"esamp: interrupted; 3 of 14 cells are kept in {parts}, run it again to go on\n"
    got = esamp("ablate", str(study), "--out", str(parts))
    assert "3 cells of 14 done before" in got.out
    assert calls == 4 + 11

    def without_speed(out: Path) -> list[str]:
        # As text, in which NaN equals NaN.
        return [repr({key: value for key, value in row.items() if key != "tokens_per_second"}) for row in rows(out)]

    assert without_speed(parts) == without_speed(whole)


def test_a_cell_that_was_being_written_does_not_count(esamp, study: Path, tmp_path: Path, monkeypatch):
    from esamp.studies.store import CellStore

    save = CellStore._save

    def full(self, rows, path):
        if path.name == "scores.parquet":
            raise OSError(28, "No space left on device")
        save(self, rows, path)

    monkeypatch.setattr(CellStore, "_save", full)
    got = esamp("ablate", str(study), "--out", str(tmp_path / "out"))
    assert got.code == 2
    assert "No space left on device" in got.err
    assert list((tmp_path / "out" / "cells").iterdir()) == []


def test_samples_are_kept_whole(esamp, study: Path, tmp_path: Path):
    esamp("ablate", str(study), "--out", str(tmp_path / "out"))
    folder = next((tmp_path / "out" / "cells").glob("never-learns-s1-*"))
    samples = pyarrow.parquet.read_table(folder / "samples.parquet").to_pylist()
    assert [(row["prompt"], row["index"]) for row in samples] == [(p, i) for p in range(2) for i in range(3)]
    assert all(row["arm"] == "never learns" and row["seed"] == 1 for row in samples)
    assert all(len(row["token_ids"]) == len(row["log_probs"]) == len(row["kl"]) for row in samples)


def test_prompts_come_from_a_file_beside_the_study(esamp, study: Path, tmp_path: Path):
    (study.parent / "more.jsonl").write_text('{"prompt": "six seven"}\n\n{"prompt": "eight"}\n')
    study.write_text(study.read_text().replace("prompts: [one two three, four five]", "prompts_file: more.jsonl"))
    got = esamp("ablate", str(study), "--out", str(tmp_path / "out"))
    assert got.code == 0, got.err
    assert {row["prompt"] for row in rows(tmp_path / "out")} == {0, 1}


BAD = {
    "an unknown key": ("seeds: [0, 1]", "seed: [0, 1]", "did you mean 'seeds'"),
    "an unknown part": ("distiller: frozen", "distiller: frozn", "arm 'never learns': distiller must be one of"),
    "a part's argument": ("{rank: 4}", "{rank: 0}", "arm 'low_rank(rank=0), beta 0.5'"),
    "another part's argument": ("{rank: 4}", "{wdith: 4}", "has no option 'wdith'"),
    "an arm that is plain": ("beta: linear:0.5:0:4", "beta: 0", "plain sampling is there by its temperatures"),
    "an arm that is a word": (
        "never learns: {",
        "frozen: frozen\n  never learns: {",
        "arm 'frozen' must hold its settings",
    ),
    "one temperature": ("[0.5, 1.5]", "[0.5]", "at least 2 temperatures"),
    "an empty list": ("beta: [0.5, 1.0]", "beta: []", "grid.beta must hold at least one value"),
    "seeds that are no list": ("seeds: [0, 1]", "seeds: 3", "seeds must be a list, got 3; write [3]"),
    "a seed that is a word": ("seeds: [0, 1]", "seeds: [0, x]", "seeds must be an integer >= 0, got 'x'"),
    "one sample": ("n: 3", "n: 1", "n must be an integer >= 2, got 1; diversity is between samples"),
    "a temperature of zero": ("[0.5, 1.5]", "[0, 1.5]", "temperatures must be a finite number in [1e-06, inf), got 0"),
    "no prompts": ("prompts: [one two three, four five]", "prompts: []", "prompts must hold at least 2"),
    "a file that is not there": (
        "prompts: [one two three, four five]",
        "prompts_file: no.txt",
        "prompts_file must hold",
    ),
    "no YAML": ("seeds: [0, 1]", "seeds: [0, 1", "is no YAML"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_study_is_one_line_and_exit_code_2(esamp, study: Path, tmp_path: Path, monkeypatch, case: str):
    monkeypatch.setattr("esamp.cli.ablate.load", lambda *_: pytest.fail("a model was loaded first"))
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
    assert len(shipped.prompts) == 8
    assert any("frozen" in arm.name for arm in shipped.arms)
