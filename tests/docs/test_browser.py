"""The site in a real browser, on a phone and on a desk, by day and by night."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from tests.report.chromium import Tab, chromium, find_chromium

BINARY = find_chromium()
pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium on the PATH to open the site in: install chromium")

# The page scrolls sideways, or something sticks out of it that does not scroll by itself.
TOO_WIDE = """(() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => {
    for (let at = element; at && at !== document.body; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.overflowX !== "visible" || style.position === "fixed") return true;
    }
    return false;
  };
  const found = [...document.querySelectorAll("article *")].filter(
    (element) => element.getBoundingClientRect().right > width + 1 && !scrolls(element));
  if (document.documentElement.scrollWidth > width) found.unshift(document.documentElement);
  return found.slice(0, 3).map((element) => element.outerHTML.slice(0, 200));
})()"""
# Text whose colour is that of what it stands on, or nearly.
INK_AND_PAPER = """(() => {
  const style = getComputedStyle(document.body);
  return [style.color, style.backgroundColor].map((colour) => {
    const [red, green, blue] = colour.match(/[\\d.]+/g).map(Number);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  });
})()"""
SEARCH = """new Promise((done) => {
  const field = document.querySelector("input.md-search__input");
  document.getElementById("__search").checked = true;
  field.focus();
  field.value = "RecursiveLeastSquares";
  field.dispatchEvent(new KeyboardEvent("keyup", { bubbles: true }));
  field.dispatchEvent(new Event("input", { bubbles: true }));
  const started = Date.now();
  const look = () => {
    const found = [...document.querySelectorAll("a.md-search-result__link")].map((link) => link.href);
    if (found.length || Date.now() - started > 20000) done(found);
    else setTimeout(look, 100);
  };
  look();
})"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served, on this machine alone."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    assert BINARY is not None
    with chromium(BINARY, tmp_path_factory.mktemp("profile")) as opened:
        # There the theme keeps the palette that it began with.
        opened("Page.addScriptToEvaluateOnNewDocument", source="try { localStorage.clear() } catch {}")
        yield opened


def look_like(tab: Tab, width: int, scheme: str) -> None:
    tab("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    tab("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_fits_says_nothing_and_asks_for_nothing(
    tab: Tab, site: Path, address: str, width: int, scheme: str
) -> None:
    look_like(tab, width, scheme)
    pages = sorted(site.rglob("index.html"))
    assert len(pages) > 30
    for page in pages:
        tab.events.clear()
        tab.open(address + page.relative_to(site).as_posix().removesuffix("index.html"))
        assert tab.complaints == [], page
        assert [asked for asked in tab.requests if not asked.startswith(address)] == [], page
        assert tab.run(TOO_WIDE) == [], page
        assert tab.run("[...document.images].every((each) => each.complete && each.naturalWidth > 0)"), page
        ink, paper = tab.run(INK_AND_PAPER)
        assert (ink < paper - 120) if scheme == "light" else (ink > paper + 120), page


def test_what_is_too_wide_is_noticed(tab: Tab, tmp_path: Path) -> None:
    look_like(tab, 390, "light")
    file = tmp_path / "wide.html"
    frame = "<meta name=viewport content='width=device-width'><article>{}</article>"
    wide = "<div style='width: 900px'>x</div>"
    for text, noticed in ((wide, True), (f"<div style='overflow-x: auto'>{wide}</div>", False)):
        file.write_text(frame.format(text))
        tab.open(file.as_uri())
        assert bool(tab.run(TOO_WIDE)) == noticed


def test_search_finds_a_class(tab: Tab, address: str) -> None:
    look_like(tab, 1280, "light")
    tab.open(address)
    found = tab.run(SEARCH)
    assert any(link.endswith("#esamp.distillers.RecursiveLeastSquaresDistiller") for link in found)


def test_a_sample_of_the_clouds_can_be_read(tab: Tab, address: str) -> None:
    look_like(tab, 390, "dark")
    tab.open(address)
    assert tab.run("document.querySelectorAll('.cloud-plain circle').length") == 64
    tab.run("document.querySelector('.cloud-esamp circle').dispatchEvent(new MouseEvent('click', { bubbles: true }))")
    shown = tab.run("document.querySelector('.clouds-text').textContent")
    assert shown == tab.run("document.querySelector('.cloud-esamp circle title').textContent")


def test_equations_are_drawn_by_the_browser_itself(tab: Tab, address: str) -> None:
    look_like(tab, 390, "light")
    tab.open(address + "method/")
    heights = tab.run("[...document.querySelectorAll('math')].map((each) => each.getBoundingClientRect().height)")
    assert len(heights) >= 6 and min(heights) > 15
