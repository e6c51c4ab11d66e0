"""A group's samples do not depend on the prompts that share its batch: left padding, order, batch size."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    FalconMambaConfig,
    LlamaConfig,
    Mamba2Config,
    MiniMaxConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RwkvConfig,
)

from esamp import ESampSampler, GenerationResult, MLPDistiller
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.testing.models import FAMILIES, tiny_model, tiny_tokenizer

PROMPTS = ["Once upon a time there was", "Hi", "a b c d e f"]
TOKENIZER = tiny_tokenizer()
_TOKENS: dict[str, Any] = {"vocab_size": 256, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
_SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2}


def random_model(make: Callable[..., PreTrainedConfig], **sizes: Any) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(make(**_TOKENS, **sizes), dtype=torch.float32).eval()


def mamba2() -> PreTrainedModel:
    return random_model(Mamba2Config, **_SIZES, num_heads=8, head_dim=8, n_groups=1, state_size=8)


def falcon_mamba() -> PreTrainedModel:
    return random_model(FalconMambaConfig, **_SIZES, state_size=8, initializer_range=0.2)


def bart() -> PreTrainedModel:
    """Bart's decoder alone: it counts its positions over the padding."""
    sizes = {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "decoder_attention_heads": 4,
        "decoder_ffn_dim": 64,
    }
    return random_model(BartConfig, **sizes, is_encoder_decoder=False, is_decoder=True, init_std=0.2)


def samples_of(result: GenerationResult) -> list[list[list[int]]]:
    return [[sample.token_ids.tolist() for sample in samples] for samples in result.samples]


def sampler_of(model: PreTrainedModel, beta: float) -> ESampSampler:
    return ESampSampler(model, TOKENIZER, distiller=MLPDistiller(width=8, lr=0.01), beta=beta)


def check_each_prompt_alone(model: PreTrainedModel, beta: float) -> None:
    sampler = sampler_of(model, beta)
    together = sampler.generate(PROMPTS, n=3, max_new_tokens=8, seed=5)
    for index, prompt in enumerate(PROMPTS):
        alone = sampler.generate(prompt, n=3, max_new_tokens=8, seed=5)
        assert samples_of(alone)[0] == samples_of(together)[index]
        for one, other in zip(alone.samples[0], together.samples[index], strict=True):
            torch.testing.assert_close(one.log_probs, other.log_probs, rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(one.novelty, other.novelty, rtol=1e-3, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_padded_batch_gives_each_prompt_the_samples_it_has_alone(family: str) -> None:
    model = tiny_model(family)
    assert HuggingFaceEngine(model, TOKENIZER).pads_left
    check_each_prompt_alone(model, beta=0.5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "mamba"])
def test_rows_that_leave_take_their_own_padding_with_them(family: str) -> None:
    model = tiny_model(family)
    model.generation_config.eos_token_id = list(range(100, 140))
    sampler = sampler_of(model, beta=0.5)
    together = samples_of(sampler.generate(PROMPTS, n=4, max_new_tokens=12))
    # Of the prompt that has no padding some end early, while padded rows go on.
    assert min(len(tokens) for tokens in together[0]) < max(len(tokens) for tokens in together[1])
    assert together == [samples_of(sampler.generate(prompt, n=4, max_new_tokens=12))[0] for prompt in PROMPTS]


@pytest.mark.parametrize("make", [mamba2, falcon_mamba])
def test_so_does_another_state_space_model(make: Callable[[], PreTrainedModel]) -> None:
    model = make()
    assert HuggingFaceEngine(model, TOKENIZER).pads_left
    check_each_prompt_alone(model, beta=0.5)


def test_a_model_that_cannot_be_padded_gets_batches_of_one_length() -> None:
    model = bart()
    assert not HuggingFaceEngine(model, TOKENIZER).pads_left
    check_each_prompt_alone(model, beta=0.5)
    rows: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    sampler = sampler_of(model, beta=0.0)
    assert not sampler.engine.pads_left
    rows.clear()
    result = sampler.generate(["123", "456", "1234567", "789"], n=2, max_new_tokens=1)
    hook.remove()
    # One prefill each for the two of one length, the longer one, and the last.
    assert rows == [2, 1, 1]
    assert [[sample.prompt for sample in samples] for samples in result.samples] == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert result.diagnostics.loss.shape == (4, 1)


@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_batch_size_does_not_change_the_samples(batch_size: int, beta: float) -> None:
    sampler = sampler_of(tiny_model(), beta)
    together = sampler.generate(PROMPTS, n=3, max_new_tokens=12)
    apart = sampler.generate(PROMPTS, n=3, max_new_tokens=12, batch_size=batch_size)
    assert samples_of(apart) == samples_of(together)
    assert apart.prompts == together.prompts
    torch.testing.assert_close(apart.diagnostics.loss, together.diagnostics.loss, rtol=1e-3, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_permuting_the_prompts_permutes_the_results(beta: float) -> None:
    sampler = sampler_of(tiny_model("gpt2"), beta)
    order = [2, 0, 1]
    straight = sampler.generate(PROMPTS, n=3, max_new_tokens=12)
    permuted = sampler.generate([PROMPTS[index] for index in order], n=3, max_new_tokens=12)
    assert samples_of(permuted) == [samples_of(straight)[index] for index in order]


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_a_prompt_given_twice_has_the_same_samples_twice(beta: float) -> None:
    result = sampler_of(tiny_model(), beta).generate(["Hi there", "Other", "Hi there"], n=3, max_new_tokens=12)
    first, _, second = samples_of(result)
    assert first == second


def test_fewer_samples_are_the_first_of_more_when_nothing_is_steered() -> None:
    sampler = sampler_of(tiny_model(), beta=0.0)
    few, many = (samples_of(sampler.generate(PROMPTS, n=n, max_new_tokens=12)) for n in (2, 5))
    assert few == [samples[:2] for samples in many]


def test_a_model_without_a_cache_is_refused() -> None:
    model = random_model(RwkvConfig, **_SIZES, attention_hidden_size=32)
    with pytest.raises(
        ValueError, match=r"^model must have a cache to decode with, and RwkvForCausalLM .* use a decoder"
    ):
        HuggingFaceEngine(model, TOKENIZER)


def test_a_model_whose_cache_cannot_be_reordered_is_refused() -> None:
    sizes = {"intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 2}
    kinds = ["linear_attention", "full_attention"]
    model = random_model(MiniMaxConfig, **_SIZES, **sizes, head_dim=8, layer_types=kinds)
    with pytest.raises(
        ValueError, match=r"^model must give the same logits with its cache .*MiniMax.*use another model"
    ):
        HuggingFaceEngine(model, TOKENIZER)


def test_a_cache_that_forgets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"intermediate_size": 64, "num_attention_heads": 4, "initializer_range": 0.2}
    model = random_model(LlamaConfig, **_SIZES, **sizes)
    forward = model.forward

    def forgetful(**arguments: Any) -> Any:
        if arguments["input_ids"].shape[1] == 1:
            arguments["past_key_values"].layers[0].values.zero_()
        return forward(**arguments)

    forgetful.__signature__ = inspect.signature(forward)
    monkeypatch.setattr(model, "forward", forgetful)
    with pytest.raises(ValueError, match=r"^model must give the same logits with its cache as without"):
        HuggingFaceEngine(model, TOKENIZER)
