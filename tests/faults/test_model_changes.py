"""A model that becomes another one under a sampler, and a state that is of another model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from esamp import ESampSampler
from esamp.testing.models import tiny_model, tiny_tokenizer


def sampler(**options) -> ESampSampler:
    return ESampSampler(tiny_model(**options), tiny_tokenizer(256), beta=0.5)


def test_a_vocabulary_that_grows_is_noticed() -> None:
    changed = sampler()
    changed.generate("one", n=2, max_new_tokens=3)
    changed.engine.model.resize_token_embeddings(300)
    with pytest.raises(
        ValueError, match="its logits have width 300, not 256: its size has changed; make a new sampler"
    ):
        changed.generate("one", n=2, max_new_tokens=3)
    ESampSampler(changed.engine.model, changed.engine.tokenizer).generate("one", n=2, max_new_tokens=3)


def test_a_hidden_size_that_changes_between_two_calls_is_noticed() -> None:
    changed = sampler()
    changed.generate("one", n=2, max_new_tokens=3)
    other = tiny_model()
    config = type(other.config).from_dict(other.config.to_dict() | {"hidden_size": 32, "intermediate_size": 48})
    with torch.random.fork_rng(devices=[]):
        narrow = type(other)(config).eval()
    # The same object, other modules within it: what reloading a checkpoint in place does.
    for name, module in narrow.named_children():
        setattr(changed.engine.model, name, module)
    changed.engine.model.config = config
    with pytest.raises(ValueError, match="width 32, not 64: its size has changed; make a new sampler"):
        changed.generate("one", n=2, max_new_tokens=3)


def test_a_model_that_changes_in_the_middle_of_a_generation_is_noticed() -> None:
    changed, calls = sampler(), 0

    def narrower(module: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        nonlocal calls
        calls += 1
        if calls == 3:
            module.weight = nn.Parameter(torch.zeros(256, 32))
            return (given[0][..., :32],)
        return given

    handle = changed.engine.model.lm_head.register_forward_pre_hook(narrower)
    with pytest.raises(ValueError, match="its hidden states have width 32, not 64"):
        changed.generate("one", n=2, max_new_tokens=6, ignore_eos=True)
    handle.remove()


def test_a_state_of_another_model_is_refused() -> None:
    given = sampler().generate("one", n=2, max_new_tokens=3).state
    other = ESampSampler(tiny_model(vocab_size=300), tiny_tokenizer(300))
    with pytest.raises(
        ValueError, match=r"state must be of a model with a head of \[300, 64\].*got one of \[\[256, 64\]\]"
    ):
        other.generate("one", n=2, max_new_tokens=3, state=given)
