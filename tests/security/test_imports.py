"""A configuration file names our parts; others only with leave from the command line, whatever way it writes them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from esamp.cli.generate import parser
from esamp.cli.study_file import read_study
from tests.cli.conftest import esamp, generate, model

__all__ = ["esamp", "generate", "model"]

EVIL = """
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
from esamp.distillers import LowRankDistiller
class Part(LowRankDistiller): pass
def reward(prompt, texts): return [0.0 for _ in texts]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A folder with a module whose import leaves a trace; it is where the command runs."""
    (tmp_path / "evil.py").write_text(EVIL)
    (tmp_path / "part.yaml").write_text("class_path: evil.Part\n")
    (tmp_path / "more.yaml").write_text("sampler: {distiller: {class_path: evil.Part}}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("evil", None)


IN_CONFIGURATIONS = [
    "distiller: evil.Part",
    "sampler: {distiller: {class_path: evil.Part}}",
    "sampler.distiller: evil.Part",
    "sampler.distiller.class_path: evil.Part",
    "distiller: {class_path: mlp, init_args: {optimizer: evil.Part}}",
    "distiller: {class_path: mlp, init_args: {optimizer: ./part.yaml}}",
    'distiller: {class_path: mlp, init_args: {optimizer: "{class_path: evil.Part}"}}',
    "distiller: {class_path: mlp, init_args: {optimizer.class_path: evil.Part}}",
    "distiller: {class_path: mlp, dict_kwargs: {optimizer: evil.Part}}",
    "distiller: {class_path: frozen, init_args: {distiller: {class_path: evil.Part}}}",
    "config: more.yaml",
    "select: best:evil.reward",
    "select: rerank:evil:reward",
    "select: evil.Part",
]


@pytest.mark.parametrize("text", IN_CONFIGURATIONS)
def test_a_configuration_imports_nothing_of_its_own(folder: Path, text: str) -> None:
    (folder / "c.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"evil.*which is not of esamp.*--allow-imports"):
        parser().parse(["Hi", "--config", "c.yaml"])
    assert not (folder / "ran").exists()


def test_with_leave_it_does(folder: Path, generate: Callable[..., Any]) -> None:
    (folder / "c.yaml").write_text("distiller: {class_path: evil.Part, init_args: {rank: 2}}\nselect: best:evil.reward")
    got = generate("Hi", "--config", "c.yaml", "--allow-imports")
    assert got.code == 0 and "predict: Part" in got.out
    assert (folder / "ran").exists()


def test_what_is_typed_needs_no_leave(folder: Path, generate: Callable[..., Any]) -> None:
    got = generate("Hi", "--distiller", "evil.Part", "--distiller.rank", "2", "--select", "best:evil.reward")
    assert got.code == 0 and (folder / "ran").exists()


STUDY = "model: m\ntasks: {prompts: {prompts: [Hi]}}\nseeds: [0]\ntemperatures: []\n"


@pytest.mark.parametrize(
    "text",
    [
        STUDY + "arms: {a: {distiller: evil.Part}}",
        STUDY + "arms: {a: {sampler: evil.Part}}",
        STUDY + "grid: {distiller: [mlp, {class_path: evil.Part}]}",
        STUDY + "common: {distiller: evil.Part}\narms: {a: {}}",
        STUDY + "arms: {a: {distiller: {class_path: mlp, init_args: {optimizer: ./part.yaml}}}}",
        STUDY + "arms: {a: {config: more.yaml}}",
        STUDY.replace("prompts: {prompts: [Hi]}", "evil.Part: {}") + "arms: {a: {}}",
        STUDY.replace("prompts: {prompts: [Hi]}", "p: {task: evil.Part}") + "arms: {a: {}}",
        STUDY.replace("{prompts: {prompts: [Hi]}}", "[evil.Part]") + "arms: {a: {}}",
    ],
)
def test_a_study_imports_nothing_of_its_own(folder: Path, text: str) -> None:
    (folder / "study.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"evil.*which is not of esamp.*--allow-imports"):
        read_study("study.yaml")
    assert not (folder / "ran").exists()


def test_a_manifest_to_replay_imports_nothing_either(folder: Path, esamp: Callable[..., Any]) -> None:
    import json

    study = {"model": "m", "tasks": {"evil.Part": {}}, "seeds": [0], "arms": {"a": {"beta": 0.5}}}
    keys = ("problems", "versions", "esamp", "commit", "starts")
    manifest = {"study": study, "model": {}, **{key: {} for key in keys}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    got = esamp("eval", "--replay", "manifest.json")
    assert got.code == 2 and "'evil.Part', which is not of esamp" in got.err and got.err.count("\n") == 1
    assert not (folder / "ran").exists()


def test_names_that_are_files_or_text_are_left_alone(folder: Path) -> None:
    (folder / "c.yaml").write_text(
        "prompts: [evil.Part]\nstop: [evil.Part]\nselect: 'majority:a.b'\n"
        "distiller: {class_path: esamp.distillers.mlp.MLPDistiller, init_args: {start: random}}"
    )
    assert parser().parse(["--config", "c.yaml"]).prompts == ["evil.Part"]
    (folder / "study.yaml").write_text(STUDY.replace("[Hi]", "[evil.Part]") + "arms: {evil.Part: {beta: 0.5}}")
    assert [arm.name for arm in read_study("study.yaml").arms] == ["evil.Part"]
    assert not (folder / "ran").exists()


def test_the_guard_is_gone_afterwards(folder: Path) -> None:
    before = list(sys.meta_path)
    (folder / "c.yaml").write_text("distiller: evil.Part")
    with pytest.raises(ValueError):
        parser().parse(["Hi", "--config", "c.yaml"])
    assert sys.meta_path == before
    import evil  # type: ignore[import-not-found]  # noqa: F401

    assert (folder / "ran").exists()
