"""The hash of a model: of its files, once, and of its tensors where there are none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from esamp.engines.huggingface.hashing import hash_model
from esamp.testing.models import tiny_model

MODEL = tiny_model()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ESAMP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_models_without_files_are_told_apart_by_their_weights(cache: Path) -> None:
    names = ("no such/folder and no repository", "nobody/not-in-the-cache")
    assert len({hash_model(name, tiny_model()) for name in names}) == 1
    assert hash_model(names[0], tiny_model(seed=1)) != hash_model(names[0], MODEL)


def test_files_are_read_once_until_they_change(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    MODEL.save_pretrained(folder)
    first = hash_model(str(folder), MODEL)
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("the file was read again"))
        assert hash_model(str(folder), MODEL) == first
    tiny_model(seed=1).save_pretrained(folder)
    assert hash_model(str(folder), MODEL) != first


def test_a_broken_cache_or_one_that_cannot_be_written_costs_no_run(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "model"
    MODEL.save_pretrained(folder)
    cache.mkdir()
    (cache / "model-hashes.json").write_text("{")
    first = hash_model(str(folder), MODEL)
    (cache / "model-hashes.json").unlink()
    cache.rmdir()
    cache.write_text("a file stands where the folder should be")
    assert hash_model(str(folder), MODEL) == first
