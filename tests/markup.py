"""HTML as a browser reads it, but without a browser's patience."""

from __future__ import annotations

from html.parser import HTMLParser

__all__ = ["StrictParser"]

_VOID = {"meta", "link", "br", "img", "input", "source"}


class StrictParser(HTMLParser):
    """Reads a page and fails where tags do not match.

    Attributes:
        open: tags that are open, the innermost last.
        tags: every tag with its attributes.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
