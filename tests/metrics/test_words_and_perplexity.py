from __future__ import annotations

import math

import pytest
import torch

from esamp.metrics import distinct_n, perplexity, repetition


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
