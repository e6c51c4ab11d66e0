"""A tutorial as its blocks, and the page put together again with what they printed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from tools.tutorials.text import fenced

__all__ = ["Block", "Page"]

_OUTPUT = re.compile(r"\n<!-- output -->\n.*?\n<!-- end of output -->\n", flags=re.DOTALL)
_STAMP = re.compile(r"\n<!-- made of code (\w+) [^\n]*-->\n\Z")
_SHORT = re.compile(r"^<!-- short form\n(.*?)\n-->$", flags=re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(
    r'^(?:<!-- (?P<order>(?:not run|output): [^\n]+) -->\n+)?```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^```\n",
    flags=re.DOTALL | re.MULTILINE,
)
_MADE = re.compile(r"^<!-- made: (?P<source>\S+) -->\n+.*?\]\((?P<target>[^)#\s]+)", flags=re.MULTILINE)
_ARROW = " => "


@final
@dataclass(frozen=True)
class Block:
    """A block of code that is run or written to a file.

    Attributes:
        language: "python", "sh", or that of a file.
        title: name of the file; None where the block is run.
        text: the code.
        line: where the code begins, counted from 1.
        end: place in the page's source right after the block.
        shown: "text", "markdown", "none", "first N lines" or "last N lines": how what it prints is shown.
    """

    language: str
    title: str | None
    text: str
    line: int
    end: int
    shown: str


@final
@dataclass(frozen=True)
class Page:
    """A tutorial.

    Attributes:
        path: its file.
        source: its text without outputs and stamp.
        blocks: what is run, in order.
        made: for each file that the page links to, where the code writes it: target, relative to the page, to path.
        stamp: hash of the code that the outputs in the file came from; None where there are none.
        outputs: number of outputs in the file.
        short: what the short form replaces, and by what.
    """

    path: Path
    source: str
    blocks: tuple[Block, ...]
    made: Mapping[str, str]
    stamp: str | None
    outputs: int
    short: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> Page:
        """The page in a file.

        Raises:
            ValueError: a line of the short form has no arrow.
        """
        text = path.read_text(encoding="utf-8")
        stamp = _STAMP.search(text)
        source, outputs = _OUTPUT.subn("", _STAMP.sub("", text))
        return cls(
            path,
            source,
            _blocks(source),
            {found["target"]: found["source"] for found in _MADE.finditer(source)},
            stamp[1] if stamp else None,
            outputs,
            _substitutions(path, source),
        )

    @property
    def code_hash(self) -> str:
        """Of all that is run, in order; white space does not count, so that a formatter makes no output stale."""
        said = "\0".join(f"{block.language} {block.title} {''.join(block.text.split())}" for block in self.blocks)
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    def shortened(self) -> Page:
        """The page with the replacements of its short form made.

        Raises:
            ValueError: what a replacement is for stands in no block.
        """
        blocks = self.blocks
        for old, new in self.short:
            if not any(old in block.text for block in blocks):
                raise ValueError(f"{self.path.name}: the short form replaces {old!r}, which no block holds")
            blocks = tuple(replace(block, text=block.text.replace(old, new)) for block in blocks)
        return replace(self, blocks=blocks)

    def written(self, outputs: Mapping[int, str], made_with: str) -> str:
        """The page's text with outputs and stamp.

        Args:
            outputs: what each block printed, by its index.
            made_with: versions, for the stamp.
        """
        pieces, done = [], 0
        for index, block in enumerate(self.blocks):
            if index in outputs and block.shown != "none":
                pieces += [self.source[done : block.end], _section(outputs[index], block.shown)]
                done = block.end
        stamp = f"\n<!-- made of code {self.code_hash} by python -m tools.tutorials: {made_with} -->\n"
        return "".join([*pieces, self.source[done:], stamp])


def _blocks(source: str) -> tuple[Block, ...]:
    found: list[Block] = []
    for match in _BLOCK.finditer(source):
        order, title = match["order"] or "output: text", match["title"]
        if order.startswith("not run") or not (title or match["language"] in ("python", "sh")):
            continue
        line = source.count("\n", 0, match.start("text")) + 1
        shown = order.removeprefix("output: ")
        found.append(Block(match["language"], title, match["text"], line, match.end(), shown))
    return tuple(found)


def _substitutions(path: Path, source: str) -> tuple[tuple[str, str], ...]:
    lines = [line for found in _SHORT.findall(source) for line in found.splitlines()]
    for line in lines:
        if _ARROW not in line:
            raise ValueError(f"{path.name}: a line of the short form must be A{_ARROW}B, got {line!r}")
    return tuple((old, new) for old, _, new in (line.partition(_ARROW) for line in lines))


def _section(output: str, shown: str) -> str:
    # A table needs an empty line before and after.
    body = f"\n{output.strip()}\n" if shown == "markdown" else fenced(output, shown)
    return f"\n<!-- output -->\n{body}\n<!-- end of output -->\n"
