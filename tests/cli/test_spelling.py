from __future__ import annotations

import json
from pathlib import Path

import pytest

from esamp.cli.spelling import Spelling

SPELLING = Spelling("prompts", flags=("--no-chat",), lists=("--stop",))
MLP = "esamp.distillers.mlp.MLPDistiller"


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["a", "-n", "3", "b"], ["-n=3", '--prompts=["a", "b"]']),
        (["--no-chat", "a"], ["--no-chat", '--prompts=["a"]']),
        (["--prompts", "a", "b", "--seed=1"], ["--seed=1", '--prompts=["a", "b"]']),
        (["--", "--not-an-option"], ['--prompts=["--not-an-option"]']),
        (["--stop", "x", "--stop", "-y"], ['--stop=["x", "-y"]']),
        (["--beta", "-1"], ["--sampler.beta=-1"]),
        (["--max_new_tokens", "5"], ["--max-new-tokens=5"]),
        (["--learn-prompt", "a"], ["--sampler.learn_prompt", '--prompts=["a"]']),
        (["--print-config"], ["--print_config"]),
        (["--distiller", "mlp"], [f"--sampler.distiller={MLP}"]),
        (["--sampler.distiller=MLPDistiller"], [f"--sampler.distiller={MLP}"]),
        (["--distiller.lr_decay", "1"], ["--sampler.distiller.lr_decay=1"]),
        (["a", "--distiller.help", "mlp"], [f"--sampler.distiller.help={MLP}"]),
        (["--seed"], ["--seed"]),
    ],
)
def test_every_spelling_has_one_meaning(argv: list[str], wanted: list[str]):
    assert SPELLING.canonical(argv) == wanted


def test_a_configuration_goes_first_and_in_the_long_spelling(tmp_path: Path):
    file = tmp_path / "c.yaml"
    file.write_text("distiller: mlp\nbeta: 1e-3\nsampler:\n  warmup: 2\nmax-new-tokens: 4\n")
    first, second = SPELLING.canonical(["--seed", "1", "--config", str(file)])
    assert second == "--seed=1"
    assert json.loads(first.removeprefix("--config=")) == {
        "max_new_tokens": 4,
        "sampler": {"warmup": 2, "distiller": MLP, "beta": 0.001},
    }


def test_an_empty_configuration_changes_nothing(tmp_path: Path):
    (tmp_path / "c.yaml").write_text("# nothing yet\n")
    assert SPELLING.canonical(["--config", str(tmp_path / "c.yaml")]) == ["--config={}"]
