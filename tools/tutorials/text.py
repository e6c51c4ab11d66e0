"""What a block printed, ready to stand in a page."""

from __future__ import annotations

import re
import textwrap

__all__ = ["WIDTH", "fenced"]

WIDTH = 100
"""Columns of an output, those of `esamp` in a pipe; longer lines are folded, as a terminal does."""


def fenced(output: str, shown: str = "text") -> str:
    """Output as a block of code: no line too long, no fence broken.

    Args:
        output: what was printed.
        shown: "text" for all of it, "first N lines" or "last N lines" for a part.
    """
    lines = output.strip("\n").splitlines()
    if shown != "text":
        side, count, _ = shown.split()
        kept = lines[: int(count)] if side == "first" else lines[-int(count) :]
        rest = ["…"] if len(lines) > len(kept) else []
        lines = kept + rest if side == "first" else rest + kept
    folded = "\n".join(_fold(line.rstrip()) for line in lines)
    ticks = max([2, *(len(run) for run in re.findall("`+", folded))]) + 1
    return f"{'`' * ticks}text\n{folded}\n{'`' * ticks}"


def _fold(line: str) -> str:
    if len(line) <= WIDTH:
        return line
    return "\n".join(textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False, tabsize=4))
