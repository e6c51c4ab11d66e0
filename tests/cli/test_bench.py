"""`esamp bench`: every bench runs on a model in memory and leaves a record that the tables are made from."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from esamp.cli.bench import BENCHES
from esamp.studies.speed.record import Record

_TINY = "--model random-llama-tiny --device cpu -n 2 --max-new-tokens"


def _measure(esamp, words: str, path: Path) -> tuple[str, Record]:
    got = esamp("bench", *words.split(), "--json", str(path))
    assert got.code == 0, got.err
    return got.out, Record.read(path)


def test_overhead_keeps_every_pair_and_the_command(esamp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = tmp_path / "deep" / "overhead.json"
    words = f"overhead {_TINY} 5 --prompts 2 --alternate steps --distiller low_rank --distiller.rank 4"
    said, record = _measure(esamp, words, path)
    assert "alternating pairs of steps" in said and "2 x 2 samples of 5 tokens" in said
    assert record.command == f"OMP_NUM_THREADS=1 esamp bench {words} --json {path}"
    assert record.bench == "overhead"
    assert len(record.result["plain"]["wall"]) == len(record.result["explored"]["cpu"]) == 4 * 3
    assert set(record.result["wall_share"]) == {"median", "low", "high"}
    settings = record.settings
    assert (settings["model"], settings["dtype"], settings["distiller"]) == (
        "random-llama-tiny",
        "bfloat16",
        "low_rank(rank=4)",
    )
    assert (settings["hidden_size"], settings["vocabulary"], settings["prompts"], settings["n"]) == (64, 512, 2, 2)
    assert settings["memory_of_a_prompt"] == 3 * 4 * (3 * 64 * 4 + 2 * 64) + 8
    assert record.computer.cores >= 1 and record.computer.torch and record.computer.gpu is None
    assert record.date.endswith("+00:00")


def test_runs_are_the_default_and_one_more_pair_warms_up(esamp, tmp_path: Path):
    said, record = _measure(esamp, f"overhead {_TINY} 3 --pairs 2", tmp_path / "overhead.json")
    assert "pairs of runs" in said
    assert record.result["unit"] == "run" and record.result["tokens"] == 2 * 3
    assert len(record.result["plain"]["wall"]) == 2


def test_generate_has_both_speeds_and_both_peaks(esamp, tmp_path: Path):
    said, record = _measure(esamp, f"generate {_TINY} 4 --pairs 2", tmp_path / "generate.json")
    assert "x the tokens/s of model.generate" in said and "peak memory, theirs" in said
    result = record.result
    assert result["ours"]["tokens"] == result["theirs"]["tokens"] == [8, 8]
    assert set(result["memory"]) == {"ours", "theirs"}
    assert all(peak["peak"] >= peak["loaded"] > 0 for peak in result["memory"].values())
    assert record.settings["ragged"] is False


def test_memory_may_be_left_out_and_rows_may_end(esamp, tmp_path: Path):
    words = f"generate {_TINY} 4 --pairs 2 --ragged --no-memory"
    said, record = _measure(esamp, words, tmp_path / "generate.json")
    assert "peak memory" not in said
    assert record.result["memory"] == {} and record.settings["ragged"] is True


def test_growth_draws_what_it_was_given_and_weighs_every_bank(esamp, tmp_path: Path):
    words = f"growth --rows 1,2 --prompts= --hidden-size= --vocabulary= --steps 4 --plot {tmp_path}/a/growth.svg"
    said, record = _measure(esamp, words, tmp_path / "growth.json")
    assert "rows 2: " in said and "furthest from a straight line" in said
    assert [(point["axis"], point["value"]) for point in record.result["points"]] == [("rows", 1), ("rows", 2)]
    assert set(record.result["lines"]) == {"rows"}
    assert "<svg" in (tmp_path / "a/growth.svg").read_text()
    assert all(of["predicted"] == of["measured"] for of in record.result["memory"].values())
    assert {"mlp", "low_rank", "recursive_least_squares", "linear", "hierarchical"} <= set(record.result["memory"])


def test_profile_has_parts_and_floors(esamp, tmp_path: Path):
    said, record = _measure(esamp, f"profile {_TINY} 5", tmp_path / "profile.json")
    assert "**the step**" in said and "By bytes and operations ESamp is" in said
    assert set(record.result["floors"]) == {"LLM", "predict", "candidate head", "learn"}
    assert record.result["machine"]["bandwidth"] > 0


def test_a_profile_without_a_derived_floor_has_none(esamp, tmp_path: Path):
    said, record = _measure(esamp, f"profile {_TINY} 5 --distiller frozen", tmp_path / "profile.json")
    assert record.result["floors"] == {}
    assert "**the step**" in said and "By bytes" not in said


def test_the_roofline_needs_no_model(esamp):
    got = esamp("bench", "roofline", "--table", "memory")
    assert got.code == 0
    assert "| the paper's MLP | 15.93 | 113.25 | 226.49 |" in got.out
    assert "8B (Qwen3) on H100 SXM" not in got.out
    assert "8B (Qwen3) on H100 SXM" in esamp("bench", "roofline").out
    here = esamp("bench", "roofline", "--here").out
    assert "GB/s" in here and "1B (Llama 3.2) on" in here


def test_tables_have_a_row_and_a_command_for_each_record(esamp, tmp_path: Path):
    got = esamp("bench", "tables", "--folder", str(tmp_path))
    assert got.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["generate.md", "growth.md", "overhead.md", "profile.md"]
    assert "Nothing has been measured yet." in (tmp_path / "overhead.md").read_text()
    for name in ("one", "two"):
        _measure(esamp, f"overhead {_TINY} 3 --pairs 2", tmp_path / f"{name}.json")
    esamp("bench", "tables", "--folder", str(tmp_path))
    text = (tmp_path / "overhead.md").read_text()
    assert text.count("| random-llama-tiny, bfloat16 | recursive_least_squares | 1×2, 3 tokens |") == 2
    assert text.count("esamp bench overhead --model random-llama-tiny") == 2
    assert "Nothing has been measured yet." in (tmp_path / "generate.md").read_text()


@pytest.mark.parametrize("words", [[], ["--help"], *([name, "--help"] for name in BENCHES)], ids=" ".join)
def test_help_is_there(words: list[str], capsys: pytest.CaptureFixture[str]):
    from esamp.cli.main import main

    try:
        assert main(["bench", *words]) == 0
    except SystemExit as stopped:
        assert stopped.code == 0
    assert "usage: esamp bench" in capsys.readouterr().out


BAD = {
    "no such bench": ("overhed", "did you mean 'overhead'"),
    "an argument too many": ("overhead 3", "argument '3' belongs to no option"),
    "an unknown option": ("generate --raged", "unknown option --raged (did you mean --ragged"),
    "an unknown unit": ("overhead --alternate step", "alternate must be one of runs, steps, got 'step'"),
    "no numbers": ("growth --rows 1;2", "rows must be whole numbers with commas between them, got '1;2'"),
    "an unknown table": ("roofline --table share", "did you mean 'shares'"),
    "no folder": ("tables --folder /not/there", "folder must be one with records"),
    "no file": ("profile --json /", "json must be a file, got the folder '/'"),
    "one pair": (f"overhead {_TINY} 3 --pairs 1", "pairs must be an integer >= 2, got 1"),
    "a dtype that it is not": (
        "overhead --model random-llama-tiny --dtype float7",
        "dtype must be one of auto, bfloat",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(esamp, case: str):
    words, said = BAD[case]
    got = esamp("bench", *shlex.split(words))
    assert got.code == 2
    assert got.err.count("\n") == 1 and got.err.startswith("esamp: error: ")
    assert said in got.err


def test_what_is_no_record_is_named(esamp, tmp_path: Path):
    (tmp_path / "other.json").write_text(json.dumps({"bench": "overhead"}))
    got = esamp("bench", "tables", "--folder", str(tmp_path))
    assert got.code == 2
    assert "other.json' must be a record written by `esamp bench ... --json FILE`" in got.err
