"""Self-BLEU: by hand, and against sacrebleu."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from esamp.metrics import self_bleu

texts = st.lists(st.lists(st.sampled_from("abcDE"), max_size=9).map(" ".join), min_size=2, max_size=5)


@given(texts, st.integers(1, 4))
def test_it_is_the_mean_of_what_sacrebleu_says_of_each_text(said: list[str], order: int):
    bleu = BLEU(lowercase=True, tokenize="none", smooth_method="exp", effective_order=True, max_ngram_order=order)
    each = [bleu.sentence_score(text, said[:i] + said[i + 1 :]).score / 100 for i, text in enumerate(said)]
    assert self_bleu(said, order) == pytest.approx(sum(each) / len(each), abs=1e-9)


def test_by_hand():
    assert self_bleu(["a b c", "d e f"]) == 0
    assert self_bleu(["a b c d", "A B  c d"]) == pytest.approx(1)
    # Each: p1 = 2/3, p2 = 1/2, and of one 3-gram none, which counts as 1/2.
    assert self_bleu(["a b c", "a b d"]) == pytest.approx((2 / 3 * 1 / 2 * 1 / 2) ** (1 / 3))


def test_one_text_has_no_other():
    assert math.isnan(self_bleu(["a b"]))
    with pytest.raises(ValueError, match="order must be an integer >= 1, got 0"):
        self_bleu(["a", "b"], 0)
