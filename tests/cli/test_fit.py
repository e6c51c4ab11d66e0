from __future__ import annotations

from pathlib import Path

import pytest

from esamp.training.best import KeepBest
from tests.training.texts import TEXT


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "book.txt").write_text(TEXT)
    return str(tmp_path / "book.txt")


@pytest.fixture
def fit(esamp, model: str, tmp_path: Path):
    def run(*argv: str):
        small = ["--window", "32", "--distiller.rank", "4", "--trainer.accelerator", "cpu"]
        return esamp("fit", "--model", model, "--out", str(tmp_path / "out"), *small, *argv)

    return run


def test_a_fit_is_used_by_the_command_that_it_prints(fit, generate, text: str, tmp_path: Path):
    got = fit(text, "--trainer.max_epochs", "2")
    assert (got.code, got.err) == (0, "")
    start = str(tmp_path / "out" / "trunk.safetensors")
    assert "variance unexplained on held-out text: " in got.out and "recorded now" in got.out
    assert f"--distiller low_rank --distiller.rank 4 --distiller.start {start}" in got.out
    assert generate("Hi", "--distiller", "low_rank", "--distiller.rank", "4", "--distiller.start", start).code == 0
    config = tmp_path / "c.yaml"
    config.write_text(f"distiller: {{class_path: low_rank, init_args: {{rank: 4, start: {start}}}}}")
    assert generate("Hi", "--config", str(config)).code == 0
    wrong = generate("Hi", "--distiller", "low_rank", "--distiller.start", start)
    assert wrong.code == 2 and "make the LowRankDistiller as that one was: rank=4" in wrong.err
    checkpoint = str(tmp_path / "out" / "checkpoints" / "last.ckpt")
    resumed = fit(text, "--trainer.max_epochs", "3", "--resume", checkpoint)
    assert resumed.code == 0 and "epoch   3" in resumed.out and "epoch   2" not in resumed.out
    assert "recorded before" in resumed.out


@pytest.mark.parametrize(("epoch", "said"), [(1, "no epoch was finished"), (2, "go on with --resume ")])
def test_ctrl_c_keeps_the_last_epoch_and_says_where(fit, text: str, monkeypatch, epoch: int, said: str):
    def interrupted(self, trainer, module) -> None:
        if trainer.current_epoch + 1 == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(KeepBest, "on_validation_end", interrupted)
    got = fit(text, "--trainer.max_epochs", "5")
    assert got.code == 130
    assert got.err.startswith("esamp: interrupted; ") and said in got.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "texts must name at least one text file"),
        (["/not/there.txt"], "texts must be UTF-8 text files, and '/not/there.txt' cannot be read"),
        (["TEXT", "--validation", "1"], "validation must be a finite number in (0, 1), got 1.0"),
        (["TEXT", "--distiller", "recursive_least_squares"], "distiller must be trained by gradients"),
        (["TEXT", "--trainer.max_epoch", "3"], "did you mean --trainer.max_epochs"),
        (["TEXT", "--out", "/dev/null/x"], "out must be a folder that can be made"),
        (["TEXT", "--window", "200", "--lr", "0"], "lr must be a finite number in (0, inf), got 0.0"),
        (["TEXT", "--distiller.start", "/not/there.safetensors"], "'/not/there.safetensors' is not there"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(fit, text: str, argv: list[str], said: str):
    got = fit(*[text if word == "TEXT" else word for word in argv])
    assert got.code == 2 and got.err.count("\n") == 1
    assert said in got.err


def test_an_empty_text_is_refused(fit, tmp_path: Path):
    (tmp_path / "empty.txt").write_text(" \n")
    got = fit(str(tmp_path / "empty.txt"))
    assert got.code == 2 and "empty.txt' is empty" in got.err
