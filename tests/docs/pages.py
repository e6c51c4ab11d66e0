"""The pages of the documentation, as their readers see them."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["ROOT", "code", "expanded", "pages"]

ROOT = Path(__file__).parents[2]
_INCLUDED = re.compile(r'^--8<-- "(.+)"$', flags=re.MULTILINE)
_FENCE = re.compile(r"^```(?:sh|bash|console)\b[^\n]*\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")


def pages() -> list[Path]:
    """Everything that is written for readers; records of what was measured are not."""
    found = [path for path in ROOT.glob("docs/**/*.md") if "results" not in path.parts]
    return [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *sorted(found)]


def expanded(page: Path) -> str:
    """A page with the files that it includes."""
    return _INCLUDED.sub(lambda found: (ROOT / "docs" / found[1]).read_text(encoding="utf-8"), page.read_text("utf-8"))


def code(page: Path) -> list[str]:
    """What a page shows as code within its sentences and as commands, each without line breaks."""
    text = page.read_text(encoding="utf-8")
    commands = [line.replace("\\\n", " ") for block in _FENCE.findall(text) for line in block.splitlines()]
    inline = _INLINE.findall(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [" ".join(each.split()) for each in [*commands, *inline]]
