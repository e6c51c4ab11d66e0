from __future__ import annotations

import math

import pytest
import torch

from esamp import ESampSampler
from esamp.metrics import distinct_n, log_probs_under, perplexity, perplexity_under, repetition
from esamp.testing.models import tiny_model


@pytest.mark.parametrize(
    ("texts", "n", "wanted"),
    [
        (["a b c"], 1, 1.0),
        (["a a a a"], 1, 0.25),
        (["a b a b", "a b"], 2, 2 / 4),
        (["a b", "b a"], 2, 1.0),
        (["The cat", "the  cat\n"], 2, 1 / 2),
        (["one", "two words"], 2, 1.0),
    ],
)
def test_distinct_counts_word_ngrams_over_all_texts(texts: list[str], n: int, wanted: float):
    assert distinct_n(texts, n) == pytest.approx(wanted)


def test_distinct_is_undefined_without_an_ngram():
    assert math.isnan(distinct_n(["word", ""], 2))
    assert math.isnan(distinct_n([], 2))


def test_repetition_looks_inside_each_text_only():
    assert repetition(["a b c d", "a b c d"]) == 0
    # 5 four-grams of "x": one different. 3 four-grams of "a b a b a b": two different.
    assert repetition(["x x x x x x x x"]) == pytest.approx(1 - 1 / 5)
    assert repetition(["x x x x x x x x", "a b a b a b"]) == pytest.approx(((1 - 1 / 5) + (1 - 2 / 3)) / 2)
    assert repetition(["too short", ""]) == 0
    assert math.isnan(repetition([]))


@pytest.mark.parametrize("function", [distinct_n, repetition])
def test_n_is_checked(function):
    with pytest.raises(ValueError, match="n must be an integer >= 1, got 0"):
        function(["a"], 0)


def test_perplexity_weighs_tokens_not_samples():
    uniform = torch.full((7,), 1 / 50).log()
    assert perplexity([uniform]) == pytest.approx(50)
    long, short = torch.full((3,), 0.5).log(), torch.full((1,), 0.125).log()
    assert perplexity([long, short]) == pytest.approx(2 ** ((3 * 1 + 1 * 3) / 4))


def test_perplexity_without_a_token_is_refused():
    with pytest.raises(ValueError, match="log_probs"):
        perplexity([torch.zeros(0)])


def test_under_another_model_only_the_samples_tokens_count(tokenizer):
    model = tiny_model(seed=3)
    prompts, texts = ["Hi there", "A", "Name a dish."], ["one two", "", "soup"]
    logs: list[torch.Tensor] = []
    for prompt, text in zip(prompts, texts, strict=True):
        # Token by token, each from its own forward pass.
        head, tail = tokenizer.encode(prompt), tokenizer.encode(text, add_special_tokens=False)
        for index, token in enumerate(tail):
            with torch.no_grad():
                logits = model(torch.tensor([head + tail[:index]])).logits[0, -1]
            logs.append(logits.log_softmax(dim=-1)[token])
    wanted = math.exp(-sum(map(float, logs)) / len(logs))
    for batch_size in (1, 2, 8):
        assert perplexity_under(model, tokenizer, prompts, texts, batch_size) == pytest.approx(wanted, rel=1e-4)
    found = log_probs_under(model, tokenizer, prompts, texts)
    assert [len(values) for values in found] == [len(tokenizer.encode(t, add_special_tokens=False)) for t in texts]


def test_under_the_model_that_drew_them_samples_have_their_own_log_probs(tokenizer):
    model = tiny_model()
    result = ESampSampler(model, tokenizer, beta=0.5).generate("Hi", n=3, max_new_tokens=6, chat=True, ignore_eos=True)
    for sample in result.samples[0]:
        # Only where decoding and encoding again gives the same tokens.
        if tokenizer.encode(sample.text, add_special_tokens=False) == sample.token_ids.tolist():
            (found,) = log_probs_under(model, tokenizer, result.prompts, [sample.text])
            torch.testing.assert_close(found, sample.reference_log_probs, atol=1e-4, rtol=1e-4)
            return
    pytest.fail("no sample survived decoding and encoding")


def test_texts_and_prompts_must_match(tokenizer):
    with pytest.raises(ValueError, match="one for each text, got 1 for 2"):
        perplexity_under(tiny_model(), tokenizer, ["a"], ["b", "c"])
