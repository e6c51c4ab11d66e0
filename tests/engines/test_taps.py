from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import (
    AutoModel,
    LlamaConfig,
    ModernBertDecoderConfig,
    ModernBertDecoderForCausalLM,
    OPTConfig,
    T5Config,
    T5ForConditionalGeneration,
)

from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.head import read_head
from esamp.engines.huggingface.taps import Taps, evaluation_mode, find_first_layer, find_head_module
from esamp.testing.models import FAMILIES, tiny_model

IDS = torch.tensor([[2, 17, 40, 99, 8], [2, 5, 6, 7, 31]])


def hooks_of(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.mark.parametrize("family", FAMILIES)
def test_shallow_is_the_residual_stream_after_the_first_layer(family: str) -> None:
    model = tiny_model(family)
    with Taps(model) as taps, torch.no_grad():
        states = model(input_ids=IDS, attention_mask=torch.ones_like(IDS), output_hidden_states=True).hidden_states
        # Mamba's list of hidden states leaves out the embeddings.
        after_first = states[0 if family == "mamba" else 1][:, -1]
        assert taps.shallow is not None
        torch.testing.assert_close(taps.shallow, after_first, rtol=0, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_deep_is_what_the_head_multiplies(family: str) -> None:
    model = tiny_model(family)
    head = read_head(model)
    with Taps(model) as taps, torch.no_grad():
        logits = model(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits[:, -1]
        assert taps.deep is not None
        torch.testing.assert_close(head.full(taps.deep), logits, rtol=1e-5, atol=1e-5)


def test_shallow_is_told_before_the_second_layer_runs() -> None:
    model, order = tiny_model(), []
    with Taps(model) as taps:
        taps.on_shallow = lambda shallow: order.append("shallow")
        model.model.layers[1].register_forward_pre_hook(lambda *_: order.append("second layer"))
        model(input_ids=IDS)
    assert order == ["shallow", "second layer"]


def test_a_list_as_long_as_the_model_inside_a_part_is_not_taken_for_the_layers() -> None:
    model = tiny_model()
    first = model.model.layers[0]
    adapters = nn.Module()
    adapters.experts = nn.ModuleList([nn.Linear(2, 2) for _ in range(model.config.num_hidden_layers)])
    model.model._modules = {"adapters": adapters, **model.model._modules}
    assert find_first_layer(model) is first


def test_layers_are_found_where_get_decoder_is_the_head() -> None:
    sizes = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
    config = ModernBertDecoderConfig(
        vocab_size=64, **sizes, pad_token_id=0, eos_token_id=1, bos_token_id=2, cls_token_id=2, sep_token_id=1
    )
    model = ModernBertDecoderForCausalLM(config)
    assert model.get_decoder() is model.get_output_embeddings()
    assert find_first_layer(model) is model.model.layers[0]


def test_hooks_are_gone_after_the_context_and_after_an_exception() -> None:
    model = tiny_model()
    before = hooks_of(model)
    with Taps(model) as taps:
        assert hooks_of(model) == before + 2
        model(input_ids=IDS)
        assert taps.shallow is not None
    assert hooks_of(model) == before
    assert taps.shallow is None
    assert taps.deep is None
    with pytest.raises(RuntimeError, match="in the middle"), Taps(model):
        raise RuntimeError("in the middle")
    assert hooks_of(model) == before


@pytest.mark.parametrize("fails", [False, True])
def test_every_module_gets_its_own_mode_back(fails: bool) -> None:
    model = tiny_model().train()
    frozen = model.model.layers[1]
    frozen.eval()
    before = [module.training for module in model.modules()]
    try:
        with evaluation_mode(model):
            assert not any(module.training for module in model.modules())
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    assert [module.training for module in model.modules()] == before


def test_a_model_without_a_head_is_refused() -> None:
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    base = AutoModel.from_config(config)
    with pytest.raises(
        ValueError, match=r"^model must have an LM head, and LlamaModel.* load it with AutoModelForCaus"
    ):
        find_head_module(base)


def test_a_model_without_layers_is_refused() -> None:
    model = tiny_model()
    model.config.num_hidden_layers = 7
    with pytest.raises(ValueError, match=r"^model must have a list of num_hidden_layers = 7 .*use a decoder-only"):
        find_first_layer(model)


def test_an_encoder_decoder_is_refused(tokenizer) -> None:
    config = T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0)
    model = T5ForConditionalGeneration(config)
    with pytest.raises(
        ValueError, match=r"^model must be decoder-only, got .*T5ForConditionalGeneration; load one with"
    ):
        HuggingFaceEngine(model, tokenizer)


def test_a_model_whose_head_has_another_width_than_its_layers_is_refused(tokenizer) -> None:
    from transformers import OPTForCausalLM

    sizes = {"hidden_size": 32, "ffn_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = OPTForCausalLM(OPTConfig(vocab_size=64, word_embed_proj_dim=16, max_position_embeddings=32, **sizes))
    with pytest.raises(
        ValueError, match=r"^model must .*one width.*\(1, 32\) after the first.*\(1, 16\) before the head"
    ):
        HuggingFaceEngine(model, tokenizer)
