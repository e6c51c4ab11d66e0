"""`esamp eval`: from a YAML file to rows, stopped, gone on with and replayed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esamp.sampler import ESampSampler
from esamp.studies.rows import read_rows, row_schema

STUDY = """
model: MODEL
tasks:
  letters: {task: tests.cli.parts_of_a_user.Letters, letters: aeb}
  prompts: {prompts: [one two three, four five], max_new_tokens: 4}
n: 3
seeds: [0, 1]
batch_size: 2
temperatures: [0.5, 1.5]
common: {min_p: 0.01}
grid:
  distiller: [recursive_least_squares, {class_path: low_rank, init_args: {rank: 4}}]
arms:
  never learns: {distiller: frozen, beta: "linear:0.5:0:4", waves: 2}
  of a user: {sampler: tests.cli.parts_of_a_user.Fixed, warmth: 0.7, top_k: 5}
"""
ARMS = ["plain T=0.5", "plain T=1.5", "recursive_least_squares", "low_rank(rank=4)", "never learns", "of a user"]
CPU = ("--accelerator", "cpu", "--allow-imports")


@pytest.fixture
def study(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ESAMP_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.replace("MODEL", model))
    return file


def rows(out: Path) -> list[dict]:
    return [{**row, "seconds": 0.0} for row in read_rows(out).to_pylist()]


def test_every_sample_is_a_row(esamp, study: Path, tmp_path: Path):
    out = tmp_path / "out"
    got = esamp("eval", str(study), "--out", str(out), *CPU)
    assert got.code == 0, got.err
    assert read_rows(out).schema == row_schema()
    found = rows(out)
    named = {(row["arm"], row["task"], row["problem"], row["seed"], row["index"]) for row in found}
    problems = [("letters", "a"), ("letters", "e"), ("letters", "b"), ("prompts", "0"), ("prompts", "1")]
    assert named == {
        (arm, *problem, seed, i) for arm in ARMS for problem in problems for seed in (0, 1) for i in (0, 1, 2)
    }
    assert len(found) == len(named) == 180
    assert "180 of 180 rows (100%)" in got.out
    assert not (out / "partial").exists()
    for row in found:
        lengths = {len(row[name]) for name in ("token_ids", "log_probs", "reference_log_probs", "novelty", "kl")}
        assert lengths == {len(row["candidates"])}
        assert max(lengths) <= (5 if row["task"] == "letters" else 4)
        assert row["plain"] == row["arm"].startswith("plain")
        assert row["prompt"].endswith(("Write " + row["problem"], "five\nassistant: ", "three\nassistant: "))
    letters = [row for row in found if row["task"] == "letters"]
    assert all(row["correct"] == (row["problem"] in row["text"]) for row in letters)
    assert {row["detail"] for row in letters} == {"looked for it"}
    assert {row["correct"] for row in found if row["task"] == "prompts"} == {None}
    assert {row["temperature"] for row in found if row["arm"] == "plain T=1.5"} == {1.5}
    learnt = {row["arm"] for row in found if row["loss"] is not None}
    assert learnt == {"recursive_least_squares", "low_rank(rank=4)", "never learns"}
    right = sum(row["correct"] for row in letters if row["arm"] == "of a user")
    assert f"letters, of a user: {right} of 18 samples are correct" in got.out


def test_the_rows_are_what_the_sampler_gives(esamp, study: Path, tmp_path: Path, model: str):
    esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU)
    sampler = ESampSampler.from_pretrained(model, distiller="recursive_least_squares", device="cpu")
    result = sampler.generate(["Write a", "Write e"], 3, max_new_tokens=5, min_p=0.01, seed=1)
    wanted = {
        (problem, s.index): s.token_ids.tolist() for problem, of in zip("ae", result.samples, strict=True) for s in of
    }
    for row in rows(tmp_path / "out"):
        key = row["problem"], row["index"]
        if row["arm"] == "recursive_least_squares" and row["seed"] == 1 and key in wanted:
            assert row["token_ids"] == wanted.pop(key)
    assert not wanted


def test_the_manifest_says_what_the_rows_were_made_with(esamp, study: Path, tmp_path: Path, model: str):
    out = tmp_path / "out"
    esamp("eval", str(study), "--out", str(out), *CPU, "--limit", "1")
    manifest = json.loads((out / "manifest.json").read_text())
    assert {"esamp", "commit", "versions", "model", "study", "started", "finished", "machine", "command"} <= set(
        manifest
    )
    assert manifest["model"]["name"] == model
    assert len(manifest["model"]["hash"]) == 64
    assert manifest["model"]["dtype"] == "float32"
    assert list(manifest["study"]["arms"]) == ARMS
    assert manifest["study"]["arms"]["low_rank(rank=4)"]["distiller"] == {
        "class_path": "low_rank",
        "init_args": {"rank": 4},
    }
    assert manifest["study"]["arms"]["low_rank(rank=4)"]["beta"] == 0.25
    assert manifest["study"]["tasks"]["letters"]["limit"] == 1
    assert len(rows(out)) == manifest["rows"] == 6 * 2 * 2 * 3


def test_a_stopped_run_goes_on_and_ends_as_an_undisturbed_one(esamp, study: Path, tmp_path: Path, monkeypatch):
    generate, calls = ESampSampler.generate, 0

    def interrupted(self, *args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return generate(self, *args, **kwargs)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    esamp("eval", str(study), "--out", str(whole), *CPU)
    monkeypatch.setattr(ESampSampler, "generate", interrupted)
    got = esamp("eval", str(study), "--out", str(parts), *CPU)
    assert got.code == 130
    again = f"to go on, run the same command again: esamp eval {study}"
    assert f"esamp: interrupted; 15 of 180 rows are in {parts}; {again}" in got.err
    before = {file: file.stat().st_mtime_ns for file in (parts / "rows").iterdir()}
    got = esamp("eval", str(study), "--out", str(parts), *CPU)
    assert f"15 of 180 rows are in {parts}" in got.out
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    assert calls == 4 + 36 - 3
    assert rows(parts) == rows(whole)
    manifest = json.loads((parts / "manifest.json").read_text())
    assert len(manifest["starts"]) == 2


def test_a_run_that_is_done_loads_nothing(esamp, study: Path, tmp_path: Path, monkeypatch):
    esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU)
    monkeypatch.setattr("esamp.studies.engines.huggingface.load", lambda *_: pytest.fail("a model was loaded"))
    assert esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU).code == 0


def test_a_study_may_grow_in_its_folder_but_not_change(esamp, study: Path, tmp_path: Path):
    out = str(tmp_path / "out")
    esamp("eval", str(study), "--out", out, *CPU)
    study.write_text(study.read_text().replace("seeds: [0, 1]", "seeds: [0, 1, 2]"))
    got = esamp("eval", str(study), "--out", out, *CPU)
    assert f"180 of 270 rows are in {out}" in got.out
    assert len(rows(tmp_path / "out")) == 270
    study.write_text(study.read_text().replace("n: 3", "n: 4"))
    got = esamp("eval", str(study), "--out", out, *CPU)
    assert got.code == 2
    assert "are of another one" in got.err


def test_another_model_under_the_same_name_is_noticed(esamp, study: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("esamp.studies.engines.huggingface.hash_model", lambda *_: "a")
    esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU)
    monkeypatch.setattr("esamp.studies.engines.huggingface.hash_model", lambda *_: "b")
    study.write_text(study.read_text().replace("seeds: [0, 1]", "seeds: [0, 1, 2]"))
    got = esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU)
    assert got.code == 2
    assert "model must be the one that the rows" in got.err
    assert len(rows(tmp_path / "out")) == 180


def test_a_verifier_that_fails_loses_no_sample(esamp, study: Path, tmp_path: Path):
    study.write_text(study.read_text().replace("letters: aeb}", "letters: aeb, broken: e}"))
    got = esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU)
    assert got.code == 0
    failed = [row for row in rows(tmp_path / "out") if row["detail"] == "verifier failed: RuntimeError: no idea"]
    assert len(failed) == 6 * 2 * 3
    assert {(row["problem"], row["correct"]) for row in failed} == {("e", None)}
    assert "the verifier failed on 36 of 180 samples" in got.err
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["failed_verdicts"] == 36


def test_a_disk_that_is_full_leaves_no_half_file(esamp, study: Path, tmp_path: Path, monkeypatch):
    import pyarrow.parquet

    def full(table, file, **_: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pyarrow.parquet, "write_table", full)
        got = esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU)
    assert got.code == 2
    assert "No space left on device" in got.err
    assert list((tmp_path / "out" / "rows").iterdir()) == []
    (samples,) = (tmp_path / "out" / "partial").glob("*.jsonl")
    assert len(samples.read_text().splitlines()) == 6
    esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU)
    assert len(rows(tmp_path / "out")) == 180
    assert not (tmp_path / "out" / "partial").exists()


def test_a_manifest_replays(esamp, study: Path, tmp_path: Path, monkeypatch):
    out, manifest = tmp_path / "out", tmp_path / "out" / "manifest.json"
    (tmp_path / "more.txt").write_text("six\nseven\n")
    study.write_text(study.read_text().replace("max_new_tokens: 4}", "max_new_tokens: 4, file: more.txt}"))
    esamp("eval", str(study), "--out", str(out), *CPU)
    monkeypatch.chdir(tmp_path / "cache")
    got = esamp("eval", "--replay", str(manifest), *CPU)
    assert got.code == 0, got.err
    assert "all 252 rows are equal in text and tokens" in got.out
    assert rows(tmp_path / "out-replay") == rows(out)

    said = json.loads(manifest.read_text())
    assert said["parts"]["low_rank(rank=4): distiller"].startswith("LowRankDistiller(rank=4, ")
    said["parts"]["low_rank(rank=4): distiller"] = "LowRankDistiller(rank=5)"
    manifest.write_text(json.dumps(said))
    got = esamp("eval", "--replay", str(manifest), *CPU)
    assert "low_rank(rank=4): distiller was LowRankDistiller(rank=5), is LowRankDistiller(rank=4, " in got.out + got.err

    (tmp_path / "more.txt").write_text("six\neight\n")
    got = esamp("eval", "--replay", str(manifest), *CPU)
    assert got.code == 2
    assert "task 'prompts' must have the problems of the manifest" in got.err


def test_a_replay_tells_of_rows_that_differ(esamp, study: Path, tmp_path: Path, monkeypatch):
    out = tmp_path / "out"
    esamp("eval", str(study), "--out", str(out), *CPU)
    generate = ESampSampler.generate
    monkeypatch.setattr(ESampSampler, "generate", lambda self, *a, seed, **k: generate(self, *a, seed=seed + 7, **k))
    got = esamp("eval", "--replay", str(out / "manifest.json"), "--out", str(tmp_path / "again"), *CPU)
    assert got.code == 1
    assert "differ; the first: arm " in got.out


def test_a_replay_wants_the_same_weights(esamp, study: Path, tmp_path: Path, monkeypatch):
    esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU)
    monkeypatch.setattr("esamp.studies.engines.huggingface.hash_model", lambda *_: "others")
    got = esamp("eval", "--replay", str(tmp_path / "out" / "manifest.json"), *CPU)
    assert got.code == 2
    assert "to give the same rows" in got.err
    got = esamp("eval", str(study), "--replay", str(tmp_path / "out" / "manifest.json"))
    assert "says something else" in got.err


def test_a_dry_run_counts_and_loads_nothing(esamp, study: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("esamp.studies.engines.huggingface.load", lambda *_: pytest.fail("a model was loaded"))
    got = esamp("eval", str(study), "--out", str(tmp_path / "out"), "--dry-run", "--allow-imports")
    assert got.code == 0
    assert "letters: 3 problems, at most 5 tokens a sample" in got.out
    # 6 arms x 2 seeds x 3 samples x (3 problems x 5 + 2 problems x 4 tokens)
    assert "6 arms x 2 tasks x 2 seeds: 36 units of at most 2 problems, 180 rows, at most 828 tokens" in got.out
    assert not (tmp_path / "out").exists()


BAD = {
    "an unknown key": ("seeds: [0, 1]", "seed: [0, 1]", "did you mean 'seeds'"),
    "an unknown task": ("letters: {task: tests.cli.parts_of_a_user.Letters, ", "lettrs: {", "task must be one of"),
    "a class that is no task": (
        "parts_of_a_user.Letters",
        "parts_of_a_user.Constant",
        "not a concrete subclass of Task",
    ),
    "a task's argument": ("letters: aeb", "leters: aeb", "did you mean 'letters'"),
    "no problem": ("letters: aeb", "limit: 0", "task 'letters': limit must be an integer >= 1, got 0"),
    "tasks that are a word": ("tasks:", "tasks: prompts\nlimit: 3\ngrid:", "tasks must be a list"),
    "leave to execute": ("letters: aeb", "allow_code_execution: true", "is for the command line alone"),
    "another engine": ("n: 3", "n: 3\nengine: jax", "engine must be one of huggingface, vllm, got 'jax'"),
    "an unknown part": ("distiller: frozen", "distiller: frozn", "arm 'never learns': distiller must be one of"),
    "a part's argument": ("{rank: 4}", "{rank: 0}", "arm 'low_rank(rank=0)'"),
    "another part's argument": ("{rank: 4}", "{wdith: 4}", "has no option 'wdith'"),
    "an unknown sampler": ("sampler: tests.cli.parts_of_a_user.Fixed", "sampler: esmap", "sampler must be one of"),
    "a sampler's setting": ("warmth: 0.7", "warmt: 0.7", "did you mean 'warmth'"),
    "a filter": ("min_p: 0.01", "min_p: 1.3", "min_p must be"),
    "an arm that is a word": ("never learns: {", "frozen: frozen\n  never learns: {", "must hold its settings"),
    "seeds that are no list": ("seeds: [0, 1]", "seeds: 3", "seeds must be a list, got 3; write [3]"),
    "a temperature of zero": ("[0.5, 1.5]", "[0, 1.5]", "temperatures must be a finite number in [1e-06, inf), got 0"),
    "no YAML": ("seeds: [0, 1]", "seeds: [0, 1", "is no YAML"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_study_is_one_line_and_exit_code_2(esamp, study: Path, tmp_path: Path, monkeypatch, case: str):
    monkeypatch.setattr("esamp.studies.engines.huggingface.load", lambda *_: pytest.fail("a model was loaded first"))
    before, after, said = BAD[case]
    assert before in study.read_text()
    text = study.read_text()
    if case == "tasks that are a word":
        text = text[: text.index("tasks:")] + "tasks: prompts\n" + text[text.index("n: 3") :]
    study.write_text(text if case == "tasks that are a word" else text.replace(before, after))
    got = esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU)
    assert got.code == 2
    assert got.err.count("\n") == 1
    assert said in got.err


def test_an_arm_that_does_not_fit_is_told_of_before_the_first_sample(esamp, study: Path, tmp_path: Path):
    study.write_text(study.read_text().replace("warmth: 0.7", "warmth: 0"))
    got = esamp("eval", str(study), "--out", str(tmp_path / "out"), *CPU)
    assert got.code == 2
    assert "arm 'of a user': warmth must be positive, got 0" in got.err
    assert list((tmp_path / "out" / "rows").iterdir()) == []


def test_the_machine_has_no_such_device(esamp, study: Path, tmp_path: Path):
    got = esamp("eval", str(study), "--out", str(tmp_path / "out"), "--accelerator", "abacus", "--allow-imports")
    assert got.code == 2
    assert "accelerator 'abacus'" in got.err
    assert "strategy must be one of auto, ddp" in esamp("eval", str(study), "--strategy", "fsdp", "--allow-imports").err
