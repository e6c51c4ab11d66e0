"""The page: nothing of a run becomes markup, nothing but its own script runs, nothing is loaded."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest

from esamp.cli.report_page import TokenCutter, make_browser
from esamp.cli.report_page.browser import script_json
from esamp.studies.report import Report
from tests.markup import StrictParser
from tests.report.conftest import ATTACK


class Page(StrictParser):
    """A page with its scripts."""

    def __init__(self, text: str) -> None:
        self.scripts: list[str] = []
        super().__init__(text)

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        if tag == "option":
            assert "select" in self.open
        super().handle_endtag(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def read(page: str) -> Page:
    return Page(page)


@pytest.fixture(scope="module")
def data(read: Page) -> dict[str, Any]:
    return json.loads(read.scripts[0])


def test_nothing_of_a_run_becomes_markup(read: Page):
    assert read.open == []
    assert [dict(a).get("type") for tag, a in read.tags if tag == "script"] == ["application/json", None]
    assert not {tag for tag, _ in read.tags} & {"iframe", "object", "base", "form"}
    pictures = [a["src"] for tag, a in read.tags if tag == "img"]
    assert pictures and all(source.startswith("data:image/svg+xml;base64,") for source in pictures)


def test_no_handler_and_no_inline_style_stands_in_an_attribute(read: Page):
    for tag, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        address = attributes.get("href") or "#"
        assert address.startswith("#") or address == "data:,", tag


def test_the_data_come_through_unharmed_and_cannot_end_their_element(read: Page, data: dict[str, Any]):
    shown = ATTACK.replace("\u2028", "�").replace("\u202e", "�")
    assert shown in data["columns"]["text"]
    assert shown in data["columns"]["answer"]
    assert any(prompt == shown for _, _, prompt in data["problems"])
    assert not set(read.scripts[0]) & {"<", ">", "&", "\u2028", "\u2029"}


@pytest.mark.parametrize("text", [ATTACK, "\u2029", "]]>", "\ud800", "\\u003c", "<!--<script>"])
def test_json_in_a_script_element_says_the_same(text: str):
    written = script_json({"text": text})
    assert not set(written) & {"<", ">", "&", "\u2028", "\u2029"}
    assert json.loads(written)["text"] == text
    written.encode()


def test_the_policy_allows_one_style_and_one_script_and_nothing_else(page: str, read: Page):
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}'"
        for block in (read.scripts[1], style)
    ]
    (policy,) = [a["content"] for tag, a in read.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == (
        f"default-src 'none'; script-src {hashes[0]}; style-src {hashes[1]}; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_nothing_is_loaded_and_no_html_is_written_by_the_script(page: str, read: Page):
    visible = re.sub(r"data:image/svg\+xml;base64,[\w+/=]+", "", page)
    assert not re.search(r"https?:|@import|url\(", visible)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|fetch|XMLHttp", read.scripts[1])


def test_the_first_paragraph_stands_before_everything_else(page: str, report: Report):
    start = page.index('<p class="lead">')
    assert start < page.index("<table")
    assert "A control does as well, as far as can be told: “never learns”" in page[start : page.index("<nav")]


def test_every_sample_is_there_with_its_tokens(data: dict[str, Any], report: Report):
    samples, columns = report.run.samples, data["columns"]
    assert len(columns["text"]) == len(samples)
    cut = 0
    for row, pieces in enumerate(columns["pieces"]):
        if pieces is None:
            continue
        cut += 1
        assert len(pieces) == len(samples.token_ids[row]) == len(columns["levels"][row])
        assert sum(pieces) == len(samples.text[row])
        assert columns["levels"][row][0] == "-"
    # The plain samples have no novelty, and one text is not what its tokens say.
    assert cut == sum(len(novelty) > 0 for novelty in map(samples.novelty.__getitem__, range(len(samples)))) - 1


def test_without_a_tokenizer_the_page_says_why_there_is_no_colour(report: Report):
    browser = make_browser(report.run, None)
    assert "pieces" not in json.loads(browser.data)["columns"]
    assert "no colour: the tokenizer" in browser.notes[1]


def test_a_large_run_is_cut_to_the_same_draws_of_every_arm(report: Report, decode):
    browser = make_browser(report.run, TokenCutter(decode), budget=60_000)
    columns = json.loads(browser.data)["columns"]
    drawn: dict[int, set[tuple[int, int, int]]] = {}
    for arm, *key in zip(*(columns[name] for name in ("arm", "problem", "seed", "index")), strict=True):
        drawn.setdefault(arm, set()).add(tuple(key))
    assert 0 < len(columns["arm"]) < len(report.run.samples)
    assert len(drawn) == 5 and len({frozenset(keys) for keys in drawn.values()}) == 1
    assert f"{len(columns['arm'])} of the run's {len(report.run.samples)} samples" in browser.notes[0]


@pytest.mark.parametrize("text", ["naïve 🦉 owl", "a\tb\n\nc", ""])
def test_pieces_are_counted_as_javascript_counts(text: str):
    from esamp.cli.report_page.browser import _units

    pieces = TokenCutter(lambda ids: bytes(ids).decode(errors="replace"))(text, list(text.encode()))
    assert pieces is not None and "".join(pieces) == text
    assert sum(map(_units, pieces)) == len(text.encode("utf-16-le")) // 2


def test_a_text_cut_at_a_stop_string_keeps_its_tokens():
    cut = TokenCutter(lambda ids: bytes(ids).decode())
    assert cut("owl", list(b"owl\n\nQ:")) == ["o", "w", "l", "", "", "", ""]
    assert cut("heron", list(b"owl")) is None
