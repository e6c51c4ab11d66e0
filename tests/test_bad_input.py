"""Every public argument, wrong in every way: the error names the argument, the value and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
from torch import nn
from transformers import CompileConfig, PreTrainedTokenizerFast

from esamp import BetaMix, Distiller, ESampSampler, MLPDistiller
from esamp.schedules import Linear
from esamp.testing.models import tiny_model, tiny_tokenizer

NAN, INF = float("nan"), float("inf")
CONTEXT = 256  # of the tiny models


@pytest.fixture(autouse=True)
def _only_the_librarys_own_checks() -> Iterator[None]:
    """Users run without the run-time type checks of the test suite, which would be the first to complain."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def sampler(tokenizer: PreTrainedTokenizerFast) -> ESampSampler:
    return ESampSampler(tiny_model(), tokenizer, distiller=MLPDistiller(width=8))


def check(error: pytest.ExceptionInfo[Exception], *parts: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    # The error is the library's own: nothing was computed before it.
    assert error.traceback[-1].path.is_relative_to(Path(__file__).parents[1] / "esamp")


CONSTRUCTOR: list[tuple[dict[str, Any], type[Exception], tuple[str, ...]]] = [
    ({"model": "smollm2-135m"}, TypeError, ("model must be", "'smollm2-135m'", "ESampSampler.from_pretrained")),
    ({"model": None}, TypeError, ("model must be", "None", "from_pretrained")),
    ({"model": nn.Linear(2, 2)}, TypeError, ("model must be", "Linear(", "from_pretrained")),
    ({"tokenizer": None}, TypeError, ("tokenizer must be", "None", "AutoTokenizer")),
    ({"tokenizer": "gpt2"}, TypeError, ("tokenizer must be", "'gpt2'", "AutoTokenizer")),
    ({"distiller": "mpl"}, ValueError, ("distiller must be one of", "'mpl'", "did you mean 'mlp'")),
    ({"distiller": "MLPDistiler"}, ValueError, ("distiller must be one of", "did you mean 'MLPDistiller'")),
    ({"distiller": "esamp.distillers.NoSuch"}, ValueError, ("distiller 'esamp.distillers.NoSuch'", "importable")),
    ({"distiller": "no_such_package.Part"}, ValueError, ("distiller 'no_such_package.Part'", "importable")),
    ({"distiller": "esamp.fusion.BetaMix"}, ValueError, ("distiller 'esamp.fusion.BetaMix'", "subclass of Distiller")),
    ({"distiller": Distiller}, ValueError, ("distiller 'Distiller'", "concrete subclass")),
    ({"distiller": BetaMix()}, TypeError, ("distiller must be a Distiller", "BetaMix", "mlp")),
    ({"distiller": 3}, TypeError, ("distiller must be a Distiller", "3", "mlp")),
    ({"fusion": "beta_mx"}, ValueError, ("fusion must be one of", "'beta_mx'", "did you mean 'beta_mix'")),
    ({"fusion": None}, TypeError, ("fusion must be a NoveltyFusion", "None", "beta_mix")),
    ({"scheduler": "sync"}, ValueError, ("scheduler must be one of", "'sync'", "synchronous")),
    ({"scheduler": nn.Linear}, ValueError, ("scheduler 'Linear'", "subclass of OverlapScheduler")),
    ({"beta": -0.1}, ValueError, ("beta must be", "-0.1", "[0, 1e+06]", "0.25")),
    ({"beta": NAN}, ValueError, ("beta must be", "nan", "0 is plain sampling")),
    ({"beta": INF}, ValueError, ("beta must be", "inf", "0 is plain sampling")),
    ({"beta": 1e7}, ValueError, ("beta must be", "10000000.0", "[0, 1e+06]")),
    ({"beta": "0.25"}, TypeError, ("beta must be a number", "'0.25'")),
    ({"beta": True}, TypeError, ("beta must be a number", "True")),
    ({"beta": torch.zeros(2)}, TypeError, ("beta must be a number", "tensor([0., 0.])")),
    ({"warmup": 0}, ValueError, ("warmup must be an integer >= 1", "0", "untrained")),
    ({"warmup": 1.0}, TypeError, ("warmup must be an integer >= 1", "1.0")),
    ({"filtering": "postfilter"}, ValueError, ("filtering must be one of", "'postfilter'", "'post-filter'")),
    ({"sharing": "per_promt"}, ValueError, ("sharing must be one of", "'per_promt'", "did you mean 'per_prompt'")),
    ({"sharing": 3}, TypeError, ("sharing must be a Sharing", "got 3", "per_prompt")),
    ({"learn_prompt": "yes"}, TypeError, ("learn_prompt must be True or False", "'yes'")),
    ({"compiled": "yes"}, TypeError, ("compiled must be True, False or a CompileConfig", "'yes'")),
    ({"compiled": None}, TypeError, ("compiled must be True, False or a CompileConfig", "None")),
    ({"compiled": CompileConfig(mode="fast")}, ValueError, ("compiled must hold what torch.compile takes", "fast")),
    (
        {"compiled": CompileConfig(options={"freezing": True})},
        ValueError,
        ("compiled must hold what torch.compile takes", "reduce-overhead", "freezing"),
    ),
    ({"compiled": CompileConfig(backend="fast")}, ValueError, ("compiled must hold what torch.compile takes", "fast")),
    ({"filtering": None}, ValueError, ("filtering must be one of", "None", "post-filter, pre-filter")),
]

GENERATE: list[tuple[dict[str, Any], type[Exception], tuple[str, ...]]] = [
    ({"prompts": []}, ValueError, ("prompts", "empty list", "at least one prompt")),
    ({"prompts": ""}, ValueError, ("prompts[0] is empty", "''", "at least one word")),
    ({"prompts": "  \n"}, ValueError, ("prompts[0] is empty", "'  \\n'", "at least one word")),
    ({"prompts": ["a", ""]}, ValueError, ("prompts[1] is empty", "''", "at least one word")),
    ({"prompts": ["a", []]}, ValueError, ("prompts[1] is empty", "[]", "message")),
    ({"prompts": None}, TypeError, ("prompts must be a string", "None", "chat messages")),
    ({"prompts": 5}, TypeError, ("prompts must be a string", "5")),
    ({"prompts": b"bytes"}, TypeError, ("prompts must be a string", "b'bytes'")),
    ({"prompts": {"role": "user", "content": "Hi"}}, TypeError, ("prompts must be", "a list of chat messages", "'Hi'")),
    ({"prompts": [-1, 5]}, ValueError, ("prompts[0] must hold token ids >= 0", "-1")),
    ({"prompts": [[1, 2], [300]]}, ValueError, ("tokenizer must be", "token 300 of prompts[1]")),
    ({"prompts": [[1, 2], []]}, ValueError, ("prompts[1] is empty",)),
    ({"prompts": [True, False]}, TypeError, ("prompts[0] is True",)),
    ({"prompts": ["a", 5]}, TypeError, ("prompts must be", "prompts[1] is 5")),
    ({"prompts": ["a", b"b"]}, TypeError, ("prompts must be", "prompts[1] is b'b'")),
    ({"prompts": [{"content": "Hi"}]}, TypeError, ("prompts must be", "prompts[0] is {'content': 'Hi'}")),
    ({"prompts": [torch.tensor([1, 2])]}, TypeError, ("prompts must be", "prompts[0] is tensor")),
    ({"prompts": "1" * CONTEXT}, ValueError, ("prompts[0]", f"{CONTEXT + 1} tokens", f"is {CONTEXT}", "shorten it")),
    ({"prompts": ["a", "1" * 250]}, ValueError, ("max_new_tokens must be at most 5", "prompts[1]", "got 8")),
    ({"n": 0}, ValueError, ("n must be an integer >= 1", "got 0")),
    ({"n": -3}, ValueError, ("n must be an integer >= 1", "got -3")),
    ({"n": 2.0}, TypeError, ("n must be an integer >= 1", "got 2.0")),
    ({"n": True}, TypeError, ("n must be an integer >= 1", "got True")),
    ({"n": None}, TypeError, ("n must be an integer >= 1", "got None")),
    ({"max_new_tokens": 0}, ValueError, ("max_new_tokens must be an integer >= 1", "got 0")),
    ({"max_new_tokens": "8"}, TypeError, ("max_new_tokens must be an integer", "got '8'")),
    ({"max_new_tokens": CONTEXT}, ValueError, ("max_new_tokens must be at most 254", "prompts[0]", f"got {CONTEXT}")),
    ({"temperature": 0}, ValueError, ("temperature must be", "got 0", "do_sample=False")),
    ({"temperature": 1e-38}, ValueError, ("temperature must be", "got 1e-38", "do_sample=False")),
    ({"temperature": -1.0}, ValueError, ("temperature must be", "got -1.0", "do_sample=False")),
    ({"temperature": NAN}, ValueError, ("temperature must be", "got nan")),
    ({"temperature": INF}, ValueError, ("temperature must be", "got inf")),
    ({"temperature": "hot"}, TypeError, ("temperature must be a number", "got 'hot'")),
    ({"temperature": None}, TypeError, ("temperature must be a number", "got None")),
    ({"top_k": 0}, ValueError, ("top_k must be an integer >= 1", "got 0", "None to switch it off")),
    ({"top_k": 2.5}, TypeError, ("top_k must be an integer", "got 2.5")),
    ({"top_p": 0.0}, ValueError, ("top_p must be", "(0, 1]", "got 0.0", "None to switch it off")),
    ({"top_p": 1.01}, ValueError, ("top_p must be", "(0, 1]", "got 1.01")),
    ({"top_p": NAN}, ValueError, ("top_p must be", "got nan")),
    ({"top_p": "0.9"}, TypeError, ("top_p must be a number", "got '0.9'")),
    ({"min_p": 1.0}, ValueError, ("min_p must be", "[0, 1)", "got 1.0", "None to switch it off")),
    ({"min_p": 1.3}, ValueError, ("min_p must be", "[0, 1)", "got 1.3")),
    ({"min_p": -0.1}, ValueError, ("min_p must be", "got -0.1")),
    ({"min_p": [0.1]}, TypeError, ("min_p must be a number", "got [0.1]")),
    ({"seed": -1}, ValueError, ("seed must be an integer in [0,", "got -1")),
    ({"seed": 2**63}, ValueError, (f"seed must be an integer in [0, {2**63 - 1}]", f"got {2**63}")),
    ({"seed": 1.0}, TypeError, ("seed must be an integer", "got 1.0")),
    ({"seed": None}, TypeError, ("seed must be an integer", "got None")),
    ({"beta": -1.0}, ValueError, ("beta must be", "got -1.0", "plain sampling")),
    ({"beta": NAN}, ValueError, ("beta must be", "got nan")),
    ({"beta": "strong"}, TypeError, ("beta must be a number", "got 'strong'")),
    ({"beta": [0.1, 0.2]}, TypeError, ("beta must be a number", "got [0.1, 0.2]", "tensor")),
    ({"beta": torch.zeros(3)}, ValueError, ("beta must be", "(2,) or (1, 2)", "got (3,)")),
    ({"beta": torch.zeros(2, 2)}, ValueError, ("beta must be", "(2,) or (1, 2)", "got (2, 2)")),
    ({"beta": torch.tensor(0.5)}, ValueError, ("beta must be a number or a tensor", "got ()")),
    ({"beta": torch.tensor([0.1, NAN])}, ValueError, ("beta must hold finite numbers", "nan", "0 is plain sampling")),
    ({"beta": torch.tensor([0.1, INF])}, ValueError, ("beta must hold finite numbers", "inf")),
    ({"beta": torch.tensor([0.1, -0.1])}, ValueError, ("beta must hold finite numbers", "-0.1")),
    ({"beta": torch.ones(2, dtype=torch.bool)}, TypeError, ("beta must be a tensor of real", "bool", "beta.float()")),
    ({"beta": torch.ones(2) * 1j}, TypeError, ("beta must be a tensor of real", "complex64", "beta.float()")),
    ({"beta": lambda step: step - 2.0}, ValueError, ("beta must be", "[0, 1e+06]", "-2 at step 0", "change its end")),
    ({"beta": lambda step: 0.5}, TypeError, ("beta must be a schedule", "gives 0.5", "esamp.schedules.Linear")),
    ({"temperature": Linear(1.0, 0.0, 4)}, ValueError, ("temperature must be", "got 0 at step 4", "number of steps")),
    ({"temperature": lambda step: step / 0.0}, ValueError, ("temperature must be", "nan at step 0")),
    ({"temperature": print}, TypeError, ("temperature must be a schedule", "gives None", "esamp.schedules.Linear")),
    ({"waves": 0}, ValueError, ("waves must be an integer in [1, 2]", "got 0", "at least one sample")),
    ({"waves": 3}, ValueError, ("waves must be an integer in [1, 2]", "got 3", "at least one sample")),
    ({"waves": 1.0}, TypeError, ("waves must be an integer", "got 1.0")),
    ({"state": 3}, TypeError, ("state must be the `state` of an earlier result", "got 3", "None")),
    ({"state": [None]}, TypeError, ("state must be the `state` of an earlier result", "[None]", "None")),
    ({"state": []}, ValueError, ("state must hold banks of MLPDistiller for [1] groups", "for []", "or None")),
    ({"stop": ""}, ValueError, ("stop must hold no empty string", "''", "leave it out")),
    ({"stop": ["a", ""]}, ValueError, ("stop must hold no empty string", "['a', '']", "leave it out")),
    ({"stop": ["a", 1]}, TypeError, ("stop must be a string or a list of strings", "['a', 1]")),
    ({"stop": None}, TypeError, ("stop must be a string or a list of strings", "got None")),
    ({"stop": b"end"}, TypeError, ("stop must be a string or a list of strings", "b'end'")),
    ({"ignore_eos": "yes"}, TypeError, ("ignore_eos must be True or False", "'yes'")),
    ({"chat": 1}, TypeError, ("chat must be True or False", "got 1")),
    ({"progress": None}, TypeError, ("progress must be True or False", "None")),
    ({"batch_size": 0}, ValueError, ("batch_size must be an integer >= 1", "got 0", "pass None")),
    ({"batch_size": 1.5}, TypeError, ("batch_size must be an integer >= 1", "got 1.5", "pass None")),
    ({"callbacks": [print]}, TypeError, ("callbacks must be a list of esamp.Callback", "print")),
    ({"callbacks": print}, TypeError, ("callbacks must be a list of esamp.Callback", "print")),
    ({"callbacks": None}, TypeError, ("callbacks must be a list of esamp.Callback", "None")),
]


def name(value: object) -> str:
    """Readable, and the same in every process."""
    return re.sub(r" at 0x\w+|\s+", " ", str(value))[:60] if isinstance(value, dict) else ""


@pytest.mark.parametrize(("arguments", "error", "parts"), CONSTRUCTOR, ids=name)
def test_the_constructor(
    tokenizer: PreTrainedTokenizerFast, arguments: dict[str, Any], error: type[Exception], parts: tuple[str, ...]
) -> None:
    with pytest.raises(error) as caught:
        ESampSampler(**{"model": tiny_model(), "tokenizer": tokenizer, **arguments})
    check(caught, *parts)


@pytest.mark.parametrize(("arguments", "error", "parts"), GENERATE, ids=name)
def test_generate(
    sampler: ESampSampler, arguments: dict[str, Any], error: type[Exception], parts: tuple[str, ...]
) -> None:
    with pytest.raises(error) as caught:
        sampler.generate(**{"prompts": "ab", "n": 2, "max_new_tokens": 8, **arguments})
    check(caught, *parts)


def test_messages_without_a_template() -> None:
    sampler = ESampSampler(tiny_model(), tiny_tokenizer(), distiller=MLPDistiller(width=8))
    for arguments in ({"prompts": "Hi", "chat": True}, {"prompts": [{"role": "user", "content": "Hi"}]}):
        with pytest.raises(ValueError) as caught:
            sampler.generate(**arguments)
        check(caught, "prompts", "no chat template", "chat=False")


def test_messages_that_the_template_refuses() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    sampler = ESampSampler(tiny_model(), tokenizer, distiller=MLPDistiller(width=8))
    with pytest.raises(ValueError) as caught:
        sampler.generate([{"role": "narrator", "content": "Hi"}])
    check(caught, "prompts", "'role': 'narrator'", "roles must alternate", "change them")


def test_a_tokenizer_of_another_model() -> None:
    sampler = ESampSampler(tiny_model(vocab_size=120), tiny_tokenizer(256), distiller=MLPDistiller(width=8))
    with pytest.raises(ValueError) as caught:
        sampler.generate(["!", "in the there"])
    check(caught, "tokenizer must be the model's own", "prompts[1]", "120 tokens", "load both from one place")


FROM_PRETRAINED: list[tuple[dict[str, Any], type[Exception], tuple[str, ...]]] = [
    ({"model": ""}, ValueError, ("model must be 'smollm2-135m', a folder", "got ''")),
    ({"model": "/no/such/folder"}, ValueError, ("model must be 'smollm2-135m', a folder", "'/no/such/folder'")),
    ({"model": "no-such-model-anywhere"}, ValueError, ("model must be", "hub id", "'no-such-model-anywhere'")),
    ({"model": 7}, TypeError, ("model must be a name or a path", "got 7", "ESampSampler(...)")),
    ({"model": nn.Linear(2, 2)}, TypeError, ("model must be a name or a path", "Linear(", "ESampSampler(...)")),
    ({"dtype": "float7"}, ValueError, ("dtype must be 'auto', a torch.dtype", "'float7'", "'bfloat16'")),
    ({"dtype": None}, ValueError, ("dtype must be 'auto', a torch.dtype", "None")),
    ({"device": "gpu"}, ValueError, ("device must be one that this machine has", "'gpu'", "'cpu'")),
    ({"device": "cuda:99"}, ValueError, ("device must be one that this machine has", "'cuda:99'", "'cpu'")),
    ({"distiller": "mpl"}, ValueError, ("distiller must be one of", "did you mean 'mlp'")),
    ({"sharing": "all"}, ValueError, ("sharing must be one of", "'all'", "whole_batch")),
    ({"fusion": 1}, TypeError, ("fusion must be a NoveltyFusion", "got 1")),
]


@pytest.mark.parametrize(("arguments", "error", "parts"), FROM_PRETRAINED, ids=name)
def test_from_pretrained(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: dict[str, Any],
    error: type[Exception],
    parts: tuple[str, ...],
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(error) as caught:
        ESampSampler.from_pretrained(**{"model": tmp_path, **arguments})
    check(caught, *parts)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        ESampSampler.from_pretrained(tmp_path)
    check(caught, "model must be 'smollm2-135m', a folder", str(tmp_path), "config.json")


def test_a_misspelt_argument_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'betta'"):  # by Python itself, before the folder is looked at
        ESampSampler.from_pretrained(tmp_path, betta=0.5)
