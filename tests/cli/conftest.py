from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from transformers import PreTrainedTokenizerFast

from esamp.cli.main import main
from esamp.testing.models import tiny_model


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> str:
    """Folder of a tiny model with a chat template."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def esamp(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Runs the command line in this process, which had no other arguments."""

    def run(*argv: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["esamp", *argv])
        capsys.readouterr()
        code = main(argv)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def generate(esamp: Callable[..., Outcome], model: str, tmp_path: Path) -> Callable[..., Outcome]:
    """Runs `esamp generate` on the tiny model: two samples of six tokens, without the comparison."""

    def run(*argv: str) -> Outcome:
        return esamp("generate", "--model", model, "-n", "2", "--max-new-tokens", "6", "--no-compare", *argv)

    return run
