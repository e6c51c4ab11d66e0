"""Unknown versions, options that do not go together, and wrong arguments are refused, with the way out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError

from esamp.engines.vllm import compatibility
from esamp.engines.vllm.compatibility import UnsupportedVLLMError, check_engine, check_version
from esamp.engines.vllm.llm import engine_arguments
from esamp.engines.vllm.settings import Settings
from tests.vllm.driving import params


def config(**changes: Any) -> Any:
    parallel = SimpleNamespace(pipeline_parallel_size=changes.pop("stages", 1))
    wanted: dict[str, Any] = {
        "additional_config": {"esamp": {}},
        "parallel_config": parallel,
        "model_config": SimpleNamespace(runner_type=changes.pop("runner", "generate")),
        "compilation_config": SimpleNamespace(mode=SimpleNamespace(value=changes.pop("mode", 0))),
        "speculative_config": None,
        "lora_config": None,
    }
    return SimpleNamespace(**(wanted | changes))


def test_this_version_has_every_name() -> None:
    assert check_version().startswith(compatibility.SUPPORTED)
    check_engine(config())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"speculative_config": object()}, "speculative decoding"),
        ({"stages": 2}, "pipeline parallelism"),
        ({"lora_config": object()}, "LoRA"),
        ({"runner": "pooling"}, "pooling"),
        ({"mode": 3, "additional_config": {}}, "--additional-config"),
    ],
)
def test_refusals_name_what_they_refuse(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedVLLMError, match=named):
        check_engine(config(**changes))


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatibility, "version", lambda package: "0.99.1")
    with pytest.raises(UnsupportedVLLMError, match=r"tested with \(0.32\), got 0.99.1"):
        check_version()


def test_a_name_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = compatibility._Name("vllm.nowhere:Nothing", "for this test")
    monkeypatch.setattr(compatibility, "NAMES", (*compatibility.NAMES, gone))
    with pytest.raises(UnsupportedVLLMError, match=r"vllm.nowhere:Nothing \(for this test\)"):
        check_version()


def test_a_setting_that_is_misspelt_is_told() -> None:
    with pytest.raises(ValueError, match="did you mean 'warmup'"):
        Settings.of(SimpleNamespace(additional_config={"esamp": {"warmups": 2}}))


def test_options_of_the_caller_are_kept() -> None:
    made = engine_arguments(Settings(), load_format="dummy", additional_config={"mine": 1}, seed=3)
    assert made["model_loader_extra_config"] == {"esamp_base_format": "dummy"}
    assert made["additional_config"]["mine"] == 1
    assert made["seed"] == 3


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"esamp_beta": -1.0}, "beta must be a finite number"),
        ({"esamp_beta": "much"}, "beta must be a number"),
        ({"esamp_betta": 0.5}, "did you mean 'esamp_beta'"),
        ({"esamp_seed": 1}, "needs esamp_beta"),
        ({"esamp_beta": 0.5, "esamp_min_p": 2.0}, "min_p must be"),
        ({"esamp_beta": 0.5, "esamp_warmup": 0}, "warmup must be"),
    ],
)
def test_a_wrong_argument_of_a_request_is_a_client_error(roomy_engine: Any, wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(VLLMValidationError, match=named):
        roomy_engine.generate("the sea", SamplingParams(extra_args=wrong), use_tqdm=False)
    # And the engine goes on.
    assert roomy_engine.generate("the sea", params(max_tokens=2), use_tqdm=False)[0].outputs[0].token_ids


def test_greedy_requests_with_esamp_are_refused(roomy_engine: Any) -> None:
    with pytest.raises(VLLMValidationError, match="temperature must be"):
        roomy_engine.generate("the sea", params("greedy", temperature=0.0), use_tqdm=False)


def test_parameters_of_the_caller_are_not_grown_into_one_group(roomy_engine: Any) -> None:
    """One set of parameters for two prompts: each prompt's samples are a group of their own."""
    shared = params(None, 2, 8, esamp_beta=0.5, esamp_seed=1)
    first, second = roomy_engine.generate(["the sea", "the sea"], shared, use_tqdm=False)
    assert [c.token_ids for c in first.outputs] == [c.token_ids for c in second.outputs]


def test_a_model_that_cannot_be_tapped_is_refused_by_name(tmp_path: Path) -> None:
    from torch import nn

    from esamp.engines.vllm.installation import install

    with pytest.raises(UnsupportedVLLMError, match="Linear cannot show its first layer's output"):
        install(nn.Linear(2, 2), config())
