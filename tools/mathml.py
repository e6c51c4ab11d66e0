"""A fence for equations: LaTeX to MathML while the site is built, so that a browser needs no script and no font."""

from __future__ import annotations

from typing import Any

from latex2mathml.converter import convert

__all__ = ["fence"]


def fence(source: str, language: str, css_class: str, options: dict[str, Any], md: Any, **more: Any) -> str:
    """The MathML of a block, in a frame that scrolls where the equation is wider than the page.

    Args:
        source: LaTeX, without dollars.
        language: of the fence, `math`.
        css_class: of the frame.
        options: of the fence; there are none.
        md: the Markdown converter.
        more: whatever else a fence is told.
    """
    return f'<div class="{css_class}">{convert(source.strip(), display="block")}</div>'
