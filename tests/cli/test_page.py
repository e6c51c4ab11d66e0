from __future__ import annotations

import base64
import hashlib
import re

import pytest
import torch

from esamp.cli.page import make_page, render
from esamp.cli.page.novelty import LEVELS
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.result import Diagnostics, GenerationResult, Sample
from esamp.testing.models import tiny_model
from tests.markup import StrictParser

ATTACK = "</p><script>alert('\"x\"')</script> & <b>done"
TEXTS = [["One two.", ATTACK], ["  Spaces,\n\nlines\tand tabs  ", "Three"]]


class Page(StrictParser):
    """A page with the texts of its samples."""

    def __init__(self, text: str) -> None:
        self.samples: list[str] = []
        super().__init__(text)

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag == "p" and "li" in self.open:
            self.samples.append("")

    def handle_data(self, data):
        if "p" in self.open and "li" in self.open:
            self.samples[-1] += data


def made(prompt: int, index: int, text: str, engine: HuggingFaceEngine) -> Sample:
    ids = torch.tensor(engine.encode(text, templated=True))
    numbers = torch.linspace(-3, -1, len(ids))
    return Sample(prompt, index, text, ids, numbers, numbers, numbers.exp(), numbers.abs(), ids, "eos")


def letters(texts) -> torch.Tensor:
    """An embedder: letter counts."""
    counts = [[1 + text.lower().count(letter) for letter in "aeiostr"] for text in texts]
    return torch.nn.functional.normalize(torch.tensor(counts, dtype=torch.float32), dim=-1)


@pytest.fixture(scope="module")
def html(tokenizer) -> str:
    engine = HuggingFaceEngine(tiny_model(), tokenizer)
    samples = [[made(p, i, text, engine) for i, text in enumerate(texts)] for p, texts in enumerate(TEXTS)]
    diagnostics = Diagnostics(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))
    result = GenerationResult(["p", "q"], samples, diagnostics)
    prompts = [f"Say {ATTACK}", "Say more"]
    return render(make_page(prompts, {"plain": result, "ESamp": result}, engine, letters, [("model", ATTACK)]))


def test_nothing_of_a_sample_becomes_markup(html: str):
    page = Page(html)
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {"script", "b", "iframe", "object", "img"}
    assert "<script" not in html


def test_the_tokens_read_as_the_samples(html: str):
    assert Page(html).samples == [text for texts in TEXTS for _ in range(2) for text in texts]


def test_nothing_is_loaded_and_nothing_runs(html: str):
    assert not re.search(r"https?:|//|@import|url\(", html)
    for tag, attributes in Page(html).tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src")], tag
        assert attributes.get("href", "data:,") == "data:,"


def test_the_policy_allows_the_one_style_block_and_nothing_else(html: str):
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [a["content"] for tag, a in Page(html).tags if a.get("http-equiv") == "Content-Security-Policy"]
    rest = "img-src data:; base-uri 'none'; form-action 'none'"
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; {rest}"
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_both_methods_are_on_the_map_and_every_token_has_its_numbers(html: str):
    page = Page(html)
    dots = [a["class"] for tag, a in page.tags if tag == "circle" and a["r"] == "5"]
    assert dots.count("dot m0") == dots.count("dot m1") == 4
    tokens = [a for tag, a in page.tags if tag == "span" and "novelty" in (a.get("title") or "")]
    coloured = [a for a in tokens if "class" in a]
    assert len(tokens) - len(coloured) == 8  # the first token of each sample
    assert {a["class"] for a in coloured} == {f"n{level}" for level in range(LEVELS)}
    assert all(re.search(r"novelty \d+ · KL \d+\.\d\d · log p -\d", a["title"] or "") for a in coloured)


def test_the_page_says_what_it_does_not_prove(html: str):
    assert "One run of a few prompts proves nothing" in " ".join(html.split())
