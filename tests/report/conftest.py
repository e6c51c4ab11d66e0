from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from esamp.cli.report_page import TokenCutter, make_browser, render_report
from esamp.studies.evaluated import read_run
from esamp.studies.report import Report, make_report
from tests.report.synthetic import rows, write_run

ATTACK = "</script><script>alert('\"x\"')</script><img src=x onerror=alert(1)> & <!-- \u2028 \u202e done"


def letters(texts) -> torch.Tensor:
    """An embedder: letter counts."""
    counts = [[1 + text.lower().count(letter) for letter in "aeiostrnhl"] for text in texts]
    return torch.nn.functional.normalize(torch.tensor(counts, dtype=torch.float32), dim=-1)


@pytest.fixture(scope="session")
def decode(tokenizer: PreTrainedTokenizerFast):
    return lambda ids: tokenizer.decode(ids, skip_special_tokens=True)


@pytest.fixture(scope="session")
def encode(tokenizer: PreTrainedTokenizerFast):
    return lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, encode) -> Path:
    """A run in which somebody attacks the page from every text there is."""
    made = list(rows(encode, skill=0.3))
    attacked = next(row for row in made if row["arm"] == "ESamp" and row["task"] == "telling")
    attacked |= {"text": ATTACK, "answer": ATTACK, "detail": ATTACK, "prompt": ATTACK}
    for row in made:
        if row["problem"] == attacked["problem"]:
            row["prompt"] = ATTACK
    return write_run(tmp_path_factory.mktemp("run") / "run", made, name=ATTACK)


@pytest.fixture(scope="session")
def report(folder: Path, decode) -> Report:
    return make_report(read_run(folder), decode=decode, embedder=letters)


@pytest.fixture(scope="session")
def page(report: Report, decode) -> str:
    return render_report(report, make_browser(report.run, TokenCutter(decode)))
