from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from esamp.cli.generate import parser
from tests.cli.parts_of_a_user import Constant

MINE = "tests.cli.parts_of_a_user.Constant"


@pytest.mark.parametrize(
    "options",
    [
        ["--sampler.distiller", "MLPDistiller", "--sampler.distiller.width", "8"],
        ["--distiller", "mlp", "--distiller.width=8"],
        ["--sampler.distiller=mlp", "--distiller.width", "8"],
        ["--distiller", "mlp", "--sampler.distiller.width", "8"],
        ["--distiller", '{"class_path": "mlp", "init_args": {"width": 8}}'],
    ],
)
def test_dotted_options_reach_the_part_in_every_spelling(options: list[str]):
    parsed = parser().parse(["Hi", *options])
    assert parsed.sampler.distiller.width == 8
    assert parsed.sampler.distiller.blocks == 2


def test_an_optimiser_inside_a_part_is_configured_too():
    parsed = parser().parse(
        ["Hi", "--distiller", "mlp", "--distiller.optimizer", "Adam", "--distiller.optimizer.lr", "0.5"]
    )
    assert parsed.sampler.distiller.optimizer.lr == 0.5


@pytest.mark.parametrize("spelling", ["--distiller", "--sampler.distiller"])
def test_third_party_parts_are_named_by_dotted_path(generate, spelling: str):
    Constant.seen.clear()
    got = generate("Hi", spelling, MINE, f"{spelling}.size", "3")
    assert got.code == 0
    assert "predict: Constant" in got.out
    assert 3.0 in Constant.seen


def test_options_come_from_yaml_and_the_command_line_wins(generate, tmp_path: Path):
    config = tmp_path / "study.yaml"
    distiller = {"class_path": MINE, "init_args": {"size": 2.5}}
    content = {
        "prompts": ["From the file"],
        "n": 3,
        "max-new-tokens": 5,
        "sampler": {"distiller": distiller, "fusion": "beta_mix"},
        "beta": 0.75,
    }
    config.write_text(yaml.safe_dump(content))
    parsed = parser().parse(["--n", "1", "--config", str(config), "--allow-imports"])
    assert (parsed.prompts, parsed.n, parsed.max_new_tokens) == (["From the file"], 1, 5)
    assert (parsed.sampler.distiller.size, parsed.sampler.beta) == (2.5, 0.75)
    assert "From the file" in generate("--config", str(config), "--allow-imports").out


def test_a_printed_configuration_says_the_same_when_it_is_read(tmp_path: Path, capsys):
    given = ["Hi", "--distiller", "mlp", "--distiller.width", "7", "--beta", "1.5", "--stop", "x", "--top-p", "0.5"]
    with pytest.raises(SystemExit) as stopped:
        parser().parse([*given, "--print_config"])
    assert stopped.value.code == 0
    (tmp_path / "c.yaml").write_text(capsys.readouterr().out)
    read, wanted = parser().parse(["--config", str(tmp_path / "c.yaml")]), parser().parse(given)
    assert (read.sampler.distiller.width, read.sampler.beta) == (7, 1.5)
    for name in ("prompts", "stop", "top_p", "n", "min_p", "json", "no_chat"):
        assert read[name] == wanted[name]


def test_a_part_explains_its_options(capsys):
    with pytest.raises(SystemExit) as stopped:
        parser().parse(["Hi", "--distiller.help", "mlp"])
    assert stopped.value.code == 0
    assert "inner width of a block" in capsys.readouterr().out
