from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig

from esamp import Filters
from esamp.engines.huggingface.head import read_head
from esamp.engines.huggingface.taps import Taps
from esamp.head import Head
from esamp.testing.models import FAMILIES, tiny_model

IDS = torch.tensor([[2, 17, 40, 99, 8], [2, 5, 6, 7, 31], [9, 9, 9, 8, 3]])


def deep_and_logits(model: Any) -> tuple[Tensor, Tensor]:
    with Taps(model) as taps, torch.no_grad():
        logits = model(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits[:, -1].float()
        assert taps.deep is not None
        return taps.deep, logits


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_gives_the_logits_of_the_model(family: str) -> None:
    model = tiny_model(family)
    deep, logits = deep_and_logits(model)
    torch.testing.assert_close(read_head(model).full(deep), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("filters", [Filters(top_k=1), Filters(min_p=0.2), Filters(top_p=0.999), Filters()])
def test_candidates_only_are_the_full_logits_gathered(family: str, filters: Filters) -> None:
    model = tiny_model(family)
    deep, logits = deep_and_logits(model)
    head, candidates = read_head(model), filters.select(logits)
    got, wanted = head.at(deep, candidates), head.full(deep).gather(-1, candidates.ids)
    torch.testing.assert_close(got[candidates.mask], wanted[candidates.mask], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "scale", "softcap", "bias"),
    [
        ("llama", 1.0, None, False),
        ("gemma2", 1.0, 5.0, False),
        ("granite", 0.5, None, False),
        ("cohere", 0.5, None, False),
        ("phi", 1.0, None, True),
    ],
)
def test_soft_cap_scale_and_bias_are_recognised(family: str, scale: float, softcap: float | None, bias: bool) -> None:
    head = read_head(tiny_model(family))
    assert head.scale == pytest.approx(scale, rel=1e-6)
    assert head.softcap == softcap
    assert (head.bias is not None) is bias
    assert head.linear is (softcap is None)


@pytest.mark.parametrize("family", ["llama", "gemma2", "granite", "phi"])
def test_the_head_of_a_half_precision_model_is_read(family: str) -> None:
    model = tiny_model(family).to(torch.bfloat16)
    deep, logits = deep_and_logits(model)
    head, exact = read_head(model), read_head(tiny_model(family))
    assert head.scale == pytest.approx(exact.scale, rel=0.01)
    assert head.softcap == exact.softcap
    torch.testing.assert_close(head.full(deep), logits, rtol=0.02, atol=0.05)


def treat_logits(monkeypatch: pytest.MonkeyPatch, model: Any, treatment: Any) -> None:
    forward = model.forward

    def treated(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        output.logits = treatment(output.logits)
        return output

    monkeypatch.setattr(model, "forward", treated)


@pytest.mark.parametrize(
    "treatment",
    [
        lambda logits: logits.sin(),
        lambda logits: logits.relu(),
        lambda logits: logits * torch.linspace(0.5, 1.5, logits.shape[-1]),
        lambda logits: logits.index_fill(-1, torch.tensor([7]), torch.finfo(torch.float32).min),
        lambda logits: logits[..., :-1],
    ],
    ids=["sin", "relu", "a scale for each token", "a token masked", "fewer tokens"],
)
def test_a_model_that_treats_its_logits_in_an_unknown_way_is_refused(monkeypatch, treatment: Any) -> None:
    model = tiny_model()
    treat_logits(monkeypatch, model, treatment)
    with pytest.raises(
        ValueError, match=r"^model must make its logits as W h \+ b .*LlamaForCausalLM.*use another model"
    ):
        read_head(model)


def test_a_scale_that_no_configuration_names_is_read_off_the_logits(monkeypatch) -> None:
    model = tiny_model()
    treat_logits(monkeypatch, model, lambda logits: 0.37 * logits)
    assert read_head(model).scale == pytest.approx(0.37, rel=1e-6)


def test_a_model_that_goes_round_its_head_is_refused(monkeypatch) -> None:
    model = tiny_model()
    weight = model.lm_head.weight

    def forward(input_ids: Tensor, **_: Any) -> Any:
        output = model.model(input_ids=input_ids)
        output.logits = output.last_hidden_state @ weight.T
        return output

    monkeypatch.setattr(model, "forward", forward)
    with pytest.raises(
        ValueError, match=r"^model must call .*LlamaForCausalLM shows \(1, 64\) .* nothing before the head"
    ):
        read_head(model)


def test_weights_that_are_not_in_memory_are_refused() -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
        )
    with pytest.raises(ValueError, match=r"^model must have an LM head .*in memory.*llm_int8_skip_modules"):
        read_head(model)


def test_a_mix_before_a_linear_head_is_the_mix_after_it() -> None:
    head = Head(torch.randn(11, 6), torch.randn(11), scale=0.3)
    deep, predicted, beta = torch.randn(4, 6), torch.randn(4, 6), torch.rand(4)
    wanted = (1 + beta)[:, None] * head.full(deep) - beta[:, None] * head.full(predicted)
    torch.testing.assert_close(head.mixed(deep, predicted, 1 + beta, beta), wanted, rtol=1e-5, atol=1e-5)
