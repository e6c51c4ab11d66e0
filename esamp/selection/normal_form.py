"""Answers in their normal form: two samples that say the same have the same."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["Answer", "last_match", "normal_text"]

Answer = Callable[[str], str | None]
"""Turns a sample's text into its answer in normal form; None where it has none."""


def normal_text(text: str) -> str | None:
    """The text in lower case, with single spaces and without marks at its ends; None where nothing is left.

    Examples:
        >>> normal_text("  The  Answer: 42. ")
        'the answer: 42'
    """
    return " ".join(text.lower().split()).strip(" .,;:!?\"'*`()[]") or None


def last_match(pattern: str) -> Answer:
    r"""Takes the last match of a regular expression for the answer: its first group, or all of it where it has none.

    Raises:
        ValueError: the pattern is no regular expression.

    Examples:
        >>> last_match(r"-?\d+")("6 times 7 is 42.")
        '42'
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"pattern must be a regular expression, got {pattern!r}: {error}") from error

    def answer(text: str) -> str | None:
        found = list(compiled.finditer(text))
        return normal_text(found[-1][min(1, compiled.groups)] or "") if found else None

    return answer
