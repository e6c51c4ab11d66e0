"""Random Llamas have the sizes that were asked for, and logits like a trained model's."""

from __future__ import annotations

import pytest
import torch

from esamp import ESampSampler, Filters
from esamp.testing.models import tiny_tokenizer
from esamp.testing.random_llama import LlamaSize, random_llama

_SIZE = LlamaSize(
    hidden_size=96, layers=3, heads=4, key_value_heads=2, head_dim=24, intermediate_size=160, vocab_size=4096
)
_IDS = torch.tensor([[2, 30, 41, 52]])


def test_it_has_its_sizes_and_is_ready():
    model = random_llama(_SIZE)
    assert not model.training
    assert {value.dtype for value in model.parameters()} == {torch.bfloat16}
    assert model.get_output_embeddings().weight.shape == (4096, 96)
    assert model.get_output_embeddings().weight is not model.get_input_embeddings().weight
    assert len(model.model.layers) == 3


def test_a_handful_of_tokens_survives_min_p():
    with torch.no_grad():
        logits = random_llama(_SIZE, torch.float32)(input_ids=torch.arange(3, 259).unsqueeze(0)).logits[0]
    assert logits.std().item() == pytest.approx(6.0, rel=0.2)
    count = Filters(min_p=0.05).select(logits).count().float().mean().item()
    assert 2 < count < 30


def test_it_is_seeded_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    same, again, other = (random_llama(_SIZE, seed=seed).get_output_embeddings().weight for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(same, again) and not torch.equal(same, other)


def test_it_can_be_sampled_from_with_the_tiny_tokenizer():
    sampler = ESampSampler(random_llama(_SIZE), tiny_tokenizer())
    result = sampler.generate("a light", n=3, max_new_tokens=5, ignore_eos=True)
    assert result.tokens == 15


def test_a_tied_head_is_the_embeddings():
    model = random_llama(LlamaSize(64, 1, 2, 1, 32, 96, 512, tied=True))
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match=r"^layers must be an integer >= 1, got 0"):
        LlamaSize(layers=0)
    with pytest.raises(ValueError, match="logit_spread must be a finite number in"):
        random_llama(_SIZE, logit_spread=0.0)
