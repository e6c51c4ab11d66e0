"""Equations become MathML while the site is built."""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT


def test_an_equation_is_mathml_in_a_frame_that_scrolls() -> None:
    pytest.importorskip("latex2mathml", reason="no latex2mathml: pip install --group docs")
    from tools.mathml import fence

    made = fence("\n\\frac{a}{b} < c\n", "math", "equation", {}, None)
    assert made.startswith('<div class="equation"><math') and 'display="block"' in made
    assert "<mfrac>" in made and "&#x0003C;" in made and "script" not in made


def test_the_site_knows_the_fence() -> None:
    assert "format: !!python/name:tools.mathml.fence" in (ROOT / "mkdocs.yml").read_text("utf-8")
    assert (ROOT / "docs/method.md").read_text("utf-8").count("```math") >= 6
