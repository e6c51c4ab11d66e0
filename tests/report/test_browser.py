"""The page in a real browser: it renders, its filters work, and it neither complains nor asks for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from esamp.studies.report import Report
from tests.report.chromium import Tab, chromium, find_chromium

BINARY = find_chromium()
pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium on the PATH to open the page in: install chromium")

# What a user does: choose, type, press; the page waits a moment before it searches.
CHOOSE = """(id, value) => {
  const field = document.getElementById(id);
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return new Promise((done) => setTimeout(done, 400));
}"""
SHOWN = "[...document.querySelectorAll('#list li')].map((item) => item.innerText)"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    assert BINARY is not None
    with chromium(BINARY, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    file: Path = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page, encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def opened(tab: Tab, address: str) -> Tab:
    tab.events.clear()
    tab.open(address)
    return tab


def choose(tab: Tab, field: str, value: str) -> list[str]:
    tab.run(f"({CHOOSE})({field!r}, {value!r})")
    return tab.run(SHOWN)


def test_a_page_that_complains_and_asks_is_noticed(tab: Tab, tmp_path: Path):
    file = tmp_path / "bad.html"
    file.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.log('oh'); nobody();</script>")
    tab.events.clear()
    tab.open(file.as_uri())
    assert len(tab.complaints) >= 2
    assert "http://127.0.0.1:9/x.png" in tab.requests


@pytest.mark.parametrize("width", [390, 1280])
def test_it_renders_without_a_word_and_without_a_request(tab: Tab, address: str, report: Report, width: int):
    tab("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    tab.events.clear()
    tab.open(address)
    assert len(tab.run(SHOWN)) == 25
    assert tab.run("[...document.images].every((picture) => picture.complete && picture.naturalWidth > 0)")
    assert tab.run("document.images.length") == sum(len(task.plots) for task in report.tasks)
    # Wide tables scroll in their frames; the page itself does not.
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run("getComputedStyle(document.querySelector('.samples .n7')).backgroundColor") != "rgba(0, 0, 0, 0)"
    for field, value in (("task", "naming"), ("sort", "together"), ("sort", "novelty-down"), ("q", "a")):
        choose(tab, field, value)
    tab.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    tab.run("new Promise((done) => setTimeout(done, 100))")
    assert tab.run("document.querySelectorAll('table.tokens').length") > 0
    assert tab.complaints == []
    assert set(tab.requests) == {address}
    assert not tab.run("'alerted' in window") and tab.run("document.querySelectorAll('script').length") == 2


def test_the_filters_work_together_and_stand_in_the_address(opened: Tab, address: str):
    found = choose(opened, "arm", "never learns")
    assert found and all("never learns" in sample for sample in found)
    found = choose(opened, "verdict", "right")
    assert found and all("✓ right" in sample and "naming" in sample for sample in found)
    bird = opened.run("document.querySelector('#list p').textContent")
    found = choose(opened, "q", bird.upper())
    assert found and all(bird in sample for sample in found)
    count = opened.run("document.getElementById('count').textContent")
    asked = opened.run("location.hash")
    assert asked.startswith("#arm=never+learns&verdict=right&q=")
    opened.open(address + asked)
    assert opened.run("document.getElementById('count').textContent") == count
    assert opened.run("document.getElementById('verdict').value") == "right"
    assert choose(opened, "q", "no such text anywhere") == []
    assert opened.run("document.getElementById('count').textContent").startswith("No sample")
    opened.run("document.getElementById('reset').click()")
    assert len(opened.run(SHOWN)) == 25


def test_problems_follow_the_task_and_pages_can_be_turned(opened: Tab, report: Report):
    choose(opened, "task", "telling")
    assert opened.run("document.getElementById('problem').options.length") == 1 + len(report.tasks[1].scores.problems)
    found = choose(opened, "problem", opened.run("document.getElementById('problem').options[2].value"))
    assert found and len({sample.split("telling · ")[1].split("seed")[0] for sample in found}) == 1
    opened.run("document.getElementById('reset').click()")
    first = opened.run(SHOWN)
    assert opened.run("document.getElementById('previous').disabled")
    opened.run("document.getElementById('next').click()")
    second = opened.run(SHOWN)
    assert second != first
    assert "page 2 of" in opened.run("document.getElementById('place').textContent")
    opened.run("document.getElementById('previous').click()")
    assert opened.run(SHOWN) == first


def test_the_order_is_that_of_the_numbers(opened: Tab):
    choose(opened, "sort", "length-down")
    lengths = [
        int(text) for text in opened.run("document.getElementById('list').innerText.match(/\\d+(?= tokens ·)/g)")
    ]
    assert lengths == sorted(lengths, reverse=True) and lengths[0] > lengths[-1]


def test_an_attack_is_shown_as_text(opened: Tab):
    (sample, *_) = choose(opened, "q", "<script>alert")
    assert "</script><script>alert('\"x\"')</script><img src=x onerror=alert(1)>" in sample
    assert opened.run("document.querySelectorAll('#list img, #list script').length") == 0
    assert opened.complaints == []


def test_every_field_has_a_name_and_colours_can_be_put_off(opened: Tab):
    assert opened.run("[...document.querySelectorAll('select, input')].every((field) => field.labels.length === 1)")
    assert opened.run("document.querySelectorAll('#list .n0, #list .n7').length") > 0
    opened.run("document.getElementById('colour').click()")
    assert opened.run("document.querySelectorAll('#list .n0, #list .n7').length") == 0
