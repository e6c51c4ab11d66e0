from __future__ import annotations

import importlib.util
import re
from itertools import chain
from pathlib import Path

import torch

from esamp import ESampSampler


def test_writes_the_page_and_prints_its_path_last(esamp, model: str, tmp_path: Path):
    out = tmp_path / "new" / "index.html"
    got = esamp("demo", "First", "--model", model, "-n", "3", "--max-new-tokens", "8", "--out", str(out), "Second")
    assert got.code == 0 and got.err == ""
    assert got.out.splitlines()[-1] == str(out)
    assert list(out.parent.iterdir()) == [out]
    page = out.read_text()
    assert "First" in page and "Second" in page
    table = got.out[got.out.index("score ") :]
    for name in ("Vendi score", "mean cosine", "repetition", "perplexity"):
        numbers = re.search(rf"{name} +(\S+) +(\S+)", table)
        assert numbers is not None
        assert f"<td>{numbers[1]}</td><td>{numbers[2]}</td>" in page


def test_watched_samples_are_those_of_plain_sampling(model: str):
    """The demo's plain column runs with a tensor of zeros as β, which must not change a token."""
    sampler = ESampSampler.from_pretrained(model, beta=0.5)
    plain = sampler.generate(["One", "Two, longer"], 3, max_new_tokens=12, beta=0.0)
    watched = sampler.generate(["One", "Two, longer"], 3, max_new_tokens=12, beta=torch.zeros(3))
    for p, w in zip(chain(*plain.samples), chain(*watched.samples), strict=True):
        assert torch.equal(p.token_ids, w.token_ids)
        assert torch.equal(p.log_probs, w.log_probs)
        assert bool(w.novelty.isfinite().all()) and bool(p.novelty.isnan().all())


def test_without_jinja_it_says_so_before_it_generates(esamp, model: str, tmp_path: Path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jinja2" else find(name))
    got = esamp("demo", "--model", model, "--out", str(tmp_path / "i.html"))
    assert got.code == 2
    wanted = "the page needs Jinja2, which is not installed; run: pip install 'esamp[demo]'"
    assert got.err == f"esamp: error: {wanted}\n"
    assert not (tmp_path / "i.html").exists()


def test_an_older_page_survives_a_failed_run(esamp, model: str, tmp_path: Path, monkeypatch):
    def fail(page) -> str:
        raise ValueError("no page")

    monkeypatch.setattr("esamp.cli.demo.render", fail)
    out = tmp_path / "index.html"
    out.write_text("older")
    got = esamp("demo", "Hi", "--model", model, "-n", "1", "--max-new-tokens", "2", "--out", str(out))
    assert got.code == 2 and "no page" in got.err
    assert out.read_text() == "older"
