"""Tiny models are real models of their architectures, and the tiny tokenizer is a real tokenizer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esamp.testing.models import FAMILIES, tiny_model, tiny_tokenizer

_IDS = torch.tensor([[2, 30, 41, 52]])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tiny_model_is_small_seeded_and_ready(family: str) -> None:
    model = tiny_model(family)
    assert model.config.model_type == family
    assert not model.training
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert sum(value.numel() for value in model.parameters()) < 300_000
    ids = {"input_ids": _IDS, "attention_mask": torch.ones_like(_IDS)}
    with torch.no_grad():
        logits = model(**ids).logits[0, -1]
        same, other = (tiny_model(family, seed=seed)(**ids).logits[0, -1] for seed in (0, 1))
    assert logits.isfinite().all()
    assert torch.equal(logits, same)
    assert not torch.equal(logits, other)
    # Far enough from uniform for filters to have something to do.
    assert logits.softmax(-1).amax() > 3 / len(logits)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    tiny_model()
    assert torch.equal(before, torch.get_rng_state())


def test_the_vocabulary_is_as_large_as_asked_for() -> None:
    assert tiny_model(vocab_size=104).get_output_embeddings().weight.shape[0] == 104
    for size in (104, 256, 780):
        tokenizer = tiny_tokenizer(size)
        assert len(tokenizer) == size
        assert max(tokenizer("the tea is hot; zebra quiz")["input_ids"]) < size


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_any_ascii_text_survives(text: str) -> None:
    tokenizer = tiny_tokenizer()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_special_tokens_are_where_the_models_expect_them() -> None:
    tokenizer, config = tiny_tokenizer(), tiny_model().config
    for name in ("pad_token_id", "eos_token_id", "bos_token_id"):
        assert getattr(tokenizer, name) == getattr(config, name)
    assert tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    assert tokenizer.decode([tokenizer.bos_token_id, 14, tokenizer.eos_token_id], skip_special_tokens=True) == "a"


def test_padding_is_on_the_left() -> None:
    batch = tiny_tokenizer()(["a", "a cat"], padding=True)
    assert batch["attention_mask"][0][0] == 0
    assert batch["attention_mask"][0][-1] == 1


def test_the_chat_template_writes_its_own_beginning() -> None:
    tokenizer = tiny_tokenizer(chat_template=True)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False
    )
    assert text == "<bos>user: Hi\nassistant: "
    assert tokenizer(text, add_special_tokens=False)["input_ids"].count(tokenizer.bos_token_id) == 1
    assert tiny_tokenizer().chat_template is None


@pytest.mark.parametrize("family", ["lama", "bert"])
def test_an_unknown_family_is_refused_with_the_known_ones(family: str) -> None:
    with pytest.raises(ValueError, match=rf"^family must be one of .*llama.*, got {family!r}"):
        tiny_model(family)


@pytest.mark.parametrize("size", [103, 781])
def test_a_vocabulary_that_cannot_be_built_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"^vocab_size must be an integer in \[104, 780\], got {size}"):
        tiny_tokenizer(size)
