"""What the README and the pages show runs as it stands."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

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


def test_a_fusion_of_your_own_goes_by_its_dotted_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from esamp.testing.models import tiny_tokenizer

    monkeypatch.syspath_prepend(str(tmp_path))
    ((title, text),) = [block for block in blocks("docs/write-your-own.md", "python") if block[0] == "capped.py"]
    (tmp_path / title).write_text(text)
    sampler = ESampSampler(tiny_model(), tiny_tokenizer(), fusion="capped.CappedTilt")
    assert "CappedTilt" in sampler.describe()
    assert len(sampler.generate("one", n=2, max_new_tokens=3).texts[0]) == 2
    sys.modules.pop("capped", None)


NAME = '"HuggingFaceTB/SmolLM2-135M-Instruct"'


@pytest.fixture
def tiny_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with a tiny model and its tokenizer, as the Python text of its name."""
    from esamp.testing.models import tiny_tokenizer

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    tiny_model().save_pretrained("tiny")
    tiny_tokenizer(chat_template=True).save_pretrained("tiny")
    return '"tiny"'


def test_the_sampler_works_inside_generate_and_in_a_pipeline(
    tiny_folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page, names = "docs/inside-generate.md", {}
    generate, in_pipeline = (text for _, text in blocks(page, "python"))
    assert "max_new_tokens=64" in generate
    assert "max_new_tokens=64" in in_pipeline
    for text in (generate, in_pipeline):
        short = text.replace(NAME, tiny_folder).replace("max_new_tokens=64", "max_new_tokens=5")
        exec(compile(short, page, "exec"), names)
    assert len(names["sequences"]) == 32
    sampler, tokenizer = names["sampler"], names["tokenizer"]
    own = sampler.generate("Name a dish.", n=16, max_new_tokens=5, temperature=0.9, top_k=50, min_p=None, seed=3)
    texts = tokenizer.batch_decode(names["sequences"], skip_special_tokens=True)
    assert texts[:16] == ["Name a dish." + text for text in own.texts[0]]
    assert "Name a dish." in capsys.readouterr().out


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


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("off_policy", [False, True])
def test_the_tutorial_of_rollouts_trains(tiny_folder: str, off_policy: bool) -> None:
    import torch

    (_, training), (_, trainer_class) = blocks("docs/rollouts.md", "python")
    # The toy of the page would have the tiny model's letters for words.
    short = training.replace(NAME, tiny_folder).replace("max_steps=100", "max_steps=1, use_cpu=True, bf16=False")
    short = short.replace("max_completion_length=64", 'max_completion_length=8, save_strategy="no", report_to=[]')
    short = short.replace(".split()", "").replace("trainer.train()", "")
    names: dict[str, Any] = {}
    if off_policy:
        exec(compile(trainer_class, "docs/rollouts.md", "exec"), names)
        short = short.replace("trainer = GRPOTrainer(", "trainer = OffPolicyGRPOTrainer(")
        short = short.replace("temperature=1.0,", 'temperature=1.0, loss_type="cispo", epsilon_high=5.0,')
    exec(compile(short, "docs/rollouts.md", "exec"), names)
    trainer = names["trainer"]
    rows: list[dict[str, Any]] = []
    compute = trainer._compute_loss
    trainer._compute_loss = lambda model, inputs: (rows.append(inputs), compute(model, inputs))[1]
    before = trainer.model.lm_head.weight.detach().clone()
    trainer.train()
    assert not torch.equal(trainer.model.lm_head.weight, before)
    # Only with the three lines is the ratio one over what was drawn from.
    (row,) = rows
    denominator = row.get("old_per_token_logps")
    if off_policy:
        assert torch.equal(denominator, row["sampling_per_token_logps"])
    else:
        assert denominator is None


def test_the_study_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from esamp.testing.models import tiny_tokenizer

    page = "docs/ablation.md"
    monkeypatch.chdir(tmp_path)
    tiny_model().save_pretrained("tiny")
    tiny_tokenizer().save_pretrained("tiny")
    ((title, text),) = blocks(page, "yaml")
    assert "max_new_tokens: 24" in text
    Path(title).write_text("model: tiny\n" + text.replace("max_new_tokens: 24", "max_new_tokens: 5"))
    command, shipped = (text for _, text in blocks(page, "sh"))
    assert main(command.split()[1:]) == 0
    said = capsys.readouterr().out
    for arm in ("plain T=0.7", "low_rank(rank=32), beta 0.5", "never learns", "early only, 2 waves"):
        assert f"| {arm} |" in said
    assert (ROOT / shipped.split()[3]).is_file()


def test_the_numbers_of_the_page_on_metrics(capsys: pytest.CaptureFixture[str]):
    page = "docs/metrics.md"
    ((_, text),) = blocks(page, "python")
    exec(compile(text, page, "exec"), {})
    said = capsys.readouterr().out
    assert said.splitlines()[0].startswith("pass@1 0.38 (")
    assert "3 of 6 problems equal" in said
    assert "[0.7500, 1.3333, 1.7500, 2.0000]" in said


def test_the_tutorial_on_selection_runs_from_top_to_bottom(tiny_folder: str, capsys: pytest.CaptureFixture[str]):
    page = "docs/select.md"
    names: dict[str, Any] = {}
    for title, text in blocks(page, "python"):
        short = text.replace('"smollm2-135m"', tiny_folder).replace("max_new_tokens=64", "max_new_tokens=16")
        # A tiny model says no numbers.
        exec(compile(short.replace(r'r"\d+"', 'r"[a-z]"'), title, "exec"), names)
    assert " of 16 say" in capsys.readouterr().out
    assert len(names["subset"].samples) == 4 and len(names["ranked"].samples) == 16
    ((_, command),) = blocks(page, "sh")
    words = shlex.split(command)
    assert main([*words[1:], "--model", "tiny", "--max-new-tokens", "4", "--no-compare"]) == 0
    assert r"Selected majority:\d+" in capsys.readouterr().out


def test_the_task_of_the_page_passes_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = "docs/tasks.md"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    first, (title, own), check = blocks(page, "python")
    exec(compile(first[1], page, "exec"), {})
    printed = capsys.readouterr().out
    assert "Q: Name a color.\nA:" in printed
    assert "Verdict(correct=True, answer='gray'" in printed
    Path(title).write_text(own)
    exec(compile(check[1], page, "exec"), {})
    sys.modules.pop("parity", None)
    ((template, text),) = blocks(page, "yaml")
    Path(template).write_text(text)
    from esamp.tasks import GSM8K

    (problem,) = GSM8K(path="sample", template=template, limit=1).problems()
    assert str(problem.prompt[-1]["content"]).endswith("a week? End with \\boxed{}.")


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
