"""Word n-grams: variety among samples (distinct-n) and loops within one (repetition)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from esamp.checks import check_integer

__all__ = ["distinct_n", "ngrams", "repetition"]


def distinct_n(texts: Sequence[str], n: int = 2) -> float:
    """distinct-n: different word n-grams over all word n-grams of the texts together (Li et al., 2016).

    Words are what white space separates, in lower case. NaN where no text has n words.

    Raises:
        TypeError: `n` is not an integer.
        ValueError: `n` < 1.

    Examples:
        >>> distinct_n(["a b a b", "a b"], 2)
        0.5
    """
    check_integer("n", n, low=1)
    grams = [gram for text in texts for gram in ngrams(text, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def repetition(texts: Sequence[str], n: int = 4) -> float:
    """Share of a text's word n-grams that it has said before, 1 - different / all, averaged over the texts.

    It shows loops, which distinct-n and perplexity can miss. A text of fewer than n words repeats nothing. NaN where
    there is no text.

    Raises:
        TypeError: `n` is not an integer.
        ValueError: `n` < 1.

    Examples:
        >>> repetition(["go on and on", "la la la la la"])
        0.25
    """
    check_integer("n", n, low=1)
    shares = [_repeated_share(ngrams(text, n)) for text in texts]
    return sum(shares) / len(shares) if shares else math.nan


def ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    """The word n-grams of a text in order, in lower case."""
    words = text.lower().split()
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def _repeated_share(grams: list[tuple[str, ...]]) -> float:
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
