"""Final answers of worked solutions: where they stand in a text, and what numbers they are. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

__all__ = ["final_answer", "last_boxed", "number_of", "numeric_answer"]

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_HASHES = re.compile(r"####[ \t]*(\S[^\n]*)")
_SAYING = re.compile(r"\banswer\b[^.\n]{0,40}?(?:\bis\b|\bare\b|=|:)[\s*]*", re.IGNORECASE)
_SIGN = r"(?:(?<![\w)\]}])[-−])?(?:\\?\$\s?)?"
_DIGITS = r"(?<![A-Za-z_0-9.])(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
_NUMBER = re.compile(rf"{_SIGN}{_DIGITS}(?:\s?/\s?[0-9]+)?")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(-?[0-9]+)\s*\}\s*\{\s*([0-9]+)\s*\}")
# Commas and spaces that LaTeX sets between digits.
_SPACING = re.compile(r"\{,\}|\\[,!;: ]|(?<=[0-9])~(?=[0-9])")
# A count or a sum of money is shorter; a longer number would only be there to be slow to compute with.
_LONGEST = 60


def final_answer(text: str) -> str | None:
    r"""The answer that a worked solution ends with, as it is written there.

    The last `\boxed{...}`; without one the last `#### ...`, the last "the answer is ...", or the last number. None if
    there is none of these.

    Examples:
        >>> final_answer(r"So $x = 2$, and the answer is $\boxed{\frac{1}{2}}$.")
        '\\frac{1}{2}'
        >>> final_answer("The answer is 12 apples.")
        '12 apples'
    """
    said = next(_said(text), None)
    if said is not None:
        return said
    numbers = list(_NUMBER.finditer(text))
    return numbers[-1][0].strip() if numbers else None


def numeric_answer(text: str) -> Fraction | None:
    """The number that a worked solution ends with: that of the first of `final_answer`'s places which holds one.

    Examples:
        >>> numeric_answer("3 + 4 = 7, so the answer is 1,007 dollars.")
        Fraction(1007, 1)
    """
    for said in _said(text):
        found = number_of(said)
        if found is not None:
            return found
    return number_of(text, last=True)


def number_of(text: str, *, last: bool = False) -> Fraction | None:
    r"""The first number after the last `=` of a short text, exactly; None if there is none, or one beyond all use.

    Signs, thousands separators, decimals, `a/b`, `\frac{a}{b}`, currency and units are understood.

    Args:
        text: what an answer says.
        last: take the last number of the text.

    Examples:
        >>> number_of("x = -$1,234.50 in all")
        Fraction(-2469, 2)
    """
    plain = _FRACTION.sub(r"\1/\2", _SPACING.sub("", text))
    found = [match[0] for match in _NUMBER.finditer(plain if last else plain.rpartition("=")[2])]
    if not found:
        return None
    digits = re.sub(r"[^0-9./-]", "", found[-1 if last else 0].replace("−", "-"))
    if len(digits) > _LONGEST:
        return None
    above, _, below = digits.partition("/")
    return None if below and not int(below) else Fraction(above) / (int(below) if below else 1)


def last_boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{...}` that is closed, or None.

    Examples:
        >>> last_boxed(r"\boxed{1}, no: \boxed{\sqrt{2}}")
        '\\sqrt{2}'
    """
    found: str | None = None
    open_at: list[int | None] = []
    for token in _BRACES.finditer(text):
        if token[0] == "}":
            start = open_at.pop() if open_at else None
            if start is not None:
                found = text[start : token.start()].strip()
        elif token[0] == "{":
            open_at.append(None)
        elif token[0].endswith("{") and len(token[0]) > len(r"\{"):
            open_at.append(token.end())
    return found


def _said(text: str) -> Iterator[str]:
    """What the text itself calls its answer, the surest place first."""
    boxed = last_boxed(text)
    if boxed:
        yield boxed
    hashes = _HASHES.findall(text)
    if hashes:
        yield hashes[-1].strip()
    sayings = list(_SAYING.finditer(text))
    if sayings:
        said = text[sayings[-1].end() :].partition("\n")[0].strip().rstrip(".").strip("*").strip()
        if said:
            yield said
