"""Which public names are shown at work: in their docstrings, or in the Python blocks of the pages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```python.*?\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def words_of_pages() -> set[str]:
    """Every word of the Python blocks of the documentation."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    blocks = (block for page in pages for block in _BLOCK.findall(page.read_text(encoding="utf-8")))
    return {word for block in blocks for word in re.findall(r"\w+", block)}


def has_example(value: object) -> bool:
    """A doctest stands in its docstring, or in that of one of its own methods."""
    return any(">>> " in text for text in _docstrings(value))


def _docstrings(value: object) -> Iterator[str]:
    yield inspect.getdoc(value) or ""
    if inspect.isclass(value):
        for member in vars(value).values():
            if inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod):
                yield inspect.getdoc(member) or ""
