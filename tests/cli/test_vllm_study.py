"""What vLLM cannot draw is refused by name when a study is read, before any engine starts, and without vLLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from esamp.cli.study_file import read_study

STUDY = """
engine: ENGINE
tasks: {prompts: {prompts: [one]}}
temperatures: [1.0]
arms:
  mine: ARM
"""


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("{sampler: override}", "sampler must be esamp"),
        ("{draw: in_turn}", "draw must be 'gumbel'"),
        ("{sharing: per_sample}", "sharing must be one that keeps the samples of a prompt together"),
        ("{beta: 'linear:0.5:0:4'}", "beta must be a number"),
        ("{temperature: 'fire:30:1:1'}", "temperature must be a number"),
        ("{learn_prompt: true}", "learn_prompt must be False"),
        ("{fusion: {class_path: kl_budget, init_args: {epsilon: 0.2}}}", "fusion must be a name without arguments"),
        (
            "{distiller: {class_path: mlp, init_args: {optimizer: {class_path: esamp.distillers.optimizers.SGD}}}}",
            "distiller must be a name with plain values for arguments",
        ),
    ],
)
def test_an_arm_that_vllm_cannot_draw_is_refused(tmp_path: Path, arm: str, said: str):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.replace("ENGINE", "vllm").replace("ARM", arm))
    with pytest.raises(ValueError, match=f"arm 'mine': {said} with engine: vllm, .* use engine: huggingface for it"):
        read_study(str(file))
    file.write_text(STUDY.replace("ENGINE", "huggingface").replace("ARM", arm))
    assert read_study(str(file)).engine == "huggingface"


def test_arms_of_numbers_and_names_are_read(tmp_path: Path):
    file = tmp_path / "study.yaml"
    arm = (
        "{beta: 0.5, waves: 2, top_k: 5, distiller: {class_path: low_rank, init_args: {rank: 4}}, sharing: whole_batch}"
    )
    file.write_text(STUDY.replace("ENGINE", "vllm").replace("ARM", arm) + "engine_options: {max_model_len: 64}")
    study = read_study(str(file))
    assert study.engine_options == {"max_model_len": 64}
    # Options of the engine are part of what the rows depend on.
    assert next(study.units()).facts()["engine_options"] == {"max_model_len": 64}


def test_options_of_an_engine_that_has_none_are_refused(tmp_path: Path):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.replace("ENGINE", "huggingface").replace("ARM", "{}") + "engine_options: {max_model_len: 64}")
    with pytest.raises(ValueError, match="engine_options must be left out with engine: huggingface"):
        read_study(str(file))


def test_vllm_is_not_spread_over_processes(tmp_path: Path, esamp):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.replace("ENGINE", "vllm").replace("ARM", "{}"))
    got = esamp("eval", str(file), "--out", str(tmp_path / "out"), "--devices", "2", "--accelerator", "cpu")
    assert got.code == 2, got
    assert "devices must be 1 with engine: vllm, got 2" in got.err
