"""What the README and the pages show runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


def test_the_baselines_generate_as_shown() -> None:
    from esamp.testing.models import tiny_tokenizer

    names = {"model": tiny_model(), "tokenizer": tiny_tokenizer(), "prompt": "one"}
    for _, text in blocks("docs/baselines.md", "python"):
        exec(compile(text, "docs/baselines.md", "exec"), names)
    assert len(names["result"].samples[0]) == 8


def test_the_simulated_device_tells_of_the_race(capsys: pytest.CaptureFixture[str]) -> None:
    ((_, text),) = blocks("docs/overlap.md", "python")
    exec(compile(text, "docs/overlap.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "aten.mul.Tensor on stream 1" in printed
    assert "aten.add_.Tensor on stream 0" in printed


def test_the_tables_of_speed_are_those_of_the_records() -> None:
    from esamp.studies.speed.tables import render

    folder = ROOT / "docs/results/speed"
    for bench, table in render(folder).items():
        assert (folder / f"{bench}.md").read_text() == table + "\n"
        assert f'--8<-- "results/speed/{bench}.md"' in (ROOT / "docs/speed.md").read_text()


def test_the_table_of_generation_config_is_that_of_the_code() -> None:
    from esamp.engines.huggingface.generation_config import table

    page = (ROOT / "docs/inside-generate.md").read_text()
    shown = page.split("generation_config.table -->")[1].split("<!-- end of fields -->")[0]
    assert shown.strip() == table()


def test_the_numbers_of_the_page_on_metrics(capsys: pytest.CaptureFixture[str]):
    page = "docs/metrics.md"
    ((_, text),) = blocks(page, "python")
    exec(compile(text, page, "exec"), {})
    said = capsys.readouterr().out
    assert said.splitlines()[0].startswith("pass@1 0.38 (")
    assert "3 of 6 problems equal" in said
    assert "[0.7500, 1.3333, 1.7500, 2.0000]" in said


def test_the_study_of_the_page_about_evaluation_runs_and_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from esamp.testing.models import tiny_tokenizer

    page = "docs/evaluate.md"
    monkeypatch.chdir(tmp_path)
    tiny_model().save_pretrained("tiny")
    tiny_tokenizer().save_pretrained("tiny")
    Path("friend.txt").write_text("one\ntwo\nthree\n")
    ((title, text),) = blocks(page, "yaml")
    Path(title).write_text(text.replace("smollm2-135m", "tiny") + "max_new_tokens: 4\n")
    commands, _, replay = (text for _, text in blocks(page, "sh"))
    for command in [*commands.splitlines(), replay]:
        assert main([*command.split()[1:], "--accelerator", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "9 arms x 2 tasks x 2 seeds" in said
    assert "rows are equal in text and tokens" in said


def test_the_task_and_the_template_of_the_page_on_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = "docs/tasks.md"
    monkeypatch.chdir(tmp_path)
    ((_, first),) = blocks(page, "python")
    exec(compile(first, page, "exec"), {})
    printed = capsys.readouterr().out
    assert "Q: Name a color.\nA:" in printed
    assert "Verdict(correct=True, answer='gray'" in printed
    ((template, text),) = blocks(page, "yaml")
    Path(template).write_text(text)
    from esamp.tasks import GSM8K

    (problem,) = GSM8K(path="sample", template=template, limit=1).problems()
    assert str(problem.prompt[-1]["content"]).endswith("a week? End with \\boxed{}.")


def test_the_study_of_the_results_ships() -> None:
    _, (_, shipped) = blocks("docs/ablation.md", "sh")
    assert shipped.startswith("OMP_NUM_THREADS=1 esamp ablate studies/")
    assert (ROOT / shipped.split()[3]).is_file()
