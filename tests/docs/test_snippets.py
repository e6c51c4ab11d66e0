"""What the README and the pages show runs as it stands."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from esamp import ESampSampler
from esamp.cli.main import main
from esamp.testing.models import tiny_model

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', flags=re.DOTALL | re.MULTILINE)


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    """(title, text) of a page's code blocks in that language."""
    found = _BLOCK.findall((ROOT / page).read_text())
    return [(title, text) for kind, title, text in found if kind == language]


@pytest.mark.embedded
@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_first_example_runs(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    ((_, text),) = blocks(page, "python")
    assert "n=16, max_new_tokens=64" in text
    exec(compile(text.replace("n=16, max_new_tokens=64", "n=2, max_new_tokens=6"), page, "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0 length ")
    assert any(line.startswith("1. tap shallow") for line in lines)


def test_parts_of_your_own_pass_the_suites_and_generate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = "docs/write-your-own.md"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = [title for title, _ in blocks(page, "python") if title]
    assert modules == ["bottleneck.py", "capped.py"]
    for title, text in blocks(page, "python"):
        if title:
            Path(title).write_text(text)
        else:
            exec(compile(text, page, "exec"), {})
    ((_, command),) = blocks(page, "sh")
    words = command.replace('"Tell me a joke"', "joke").split()
    assert words[:2] == ["esamp", "generate"]
    from esamp.testing.models import tiny_tokenizer

    tiny_model().save_pretrained("tiny")
    tiny_tokenizer().save_pretrained("tiny")
    short = ["--model", "tiny", "--max-new-tokens", "3", "--no-compare"]
    assert main([*words[1:], *short]) == 0
    assert "BottleneckDistiller" in capsys.readouterr().out
    for name in ("bottleneck", "capped"):
        sys.modules.pop(name, None)


def test_the_simulated_device_tells_of_the_race(capsys: pytest.CaptureFixture[str]) -> None:
    ((_, text),) = blocks("docs/overlap.md", "python")
    exec(compile(text, "docs/overlap.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "aten.mul.Tensor on stream 1" in printed
    assert "aten.add_.Tensor on stream 0" in printed


def test_a_fusion_of_your_own_goes_by_its_dotted_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from esamp.testing.models import tiny_tokenizer

    monkeypatch.syspath_prepend(str(tmp_path))
    ((title, text),) = [block for block in blocks("docs/write-your-own.md", "python") if block[0] == "capped.py"]
    (tmp_path / title).write_text(text)
    sampler = ESampSampler(tiny_model(), tiny_tokenizer(), fusion="capped.CappedTilt")
    assert "CappedTilt" in sampler.describe()
    assert len(sampler.generate("one", n=2, max_new_tokens=3).texts[0]) == 2
    sys.modules.pop("capped", None)
