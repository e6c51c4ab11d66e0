"""Self-BLEU: how much of each sample's wording stands in the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from esamp.checks import check_integer
from esamp.metrics.distinct import ngrams

__all__ = ["self_bleu"]

Grams = Counter[tuple[str, ...]]


def self_bleu(texts: Sequence[str], order: int = 4) -> float:
    """Mean BLEU of each text against all others as its references (Zhu et al. 2018), 0 to 1; less is more diverse.

    BLEU = min(1, exp(1 - r/c)) · exp(mean over m = 1 … order of log p_m) (Papineni et al. 2002): p_m the clipped
    precision of word m-grams, c the text's length, r that of the reference nearest to it. Words are what white space
    separates, in lower case. Orders that a text is too short for are left out; the i-th precision that is 0 counts as
    2^-i / (number of m-grams), "exp" of sacrebleu. A text that shares no word scores 0; NaN where there are not two
    texts.

    Raises:
        TypeError: `order` is not an integer.
        ValueError: `order` < 1.

    Examples:
        >>> self_bleu(["the same words again", "the same words again"])
        1.0
    """
    check_integer("order", order, low=1)
    if len(texts) < 2:
        return math.nan
    counted = [[Counter(ngrams(text, m)) for m in range(1, order + 1)] for text in texts]
    most = [_two_largest(grams[m] for grams in counted) for m in range(order)]
    lengths = [grams[0].total() for grams in counted]
    total = 0.0
    for index, grams in enumerate(counted):
        others = lengths[:index] + lengths[index + 1 :]
        total += _brevity(lengths[index], others) * _precision(grams, most)
    return total / len(texts)


def _two_largest(counts: Iterable[Grams]) -> dict[tuple[str, ...], tuple[int, int]]:
    """Of each m-gram the largest count in a text, and the second largest: the largest among the *others* of one text.

    So n texts cost n passes and not n².
    """
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for grams in counts:
        for gram, count in grams.items():
            first, second = found.get(gram, (0, 0))
            found[gram] = (count, first) if count > first else (first, max(second, count))
    return found


def _precision(grams: Sequence[Grams], most: Sequence[dict[tuple[str, ...], tuple[int, int]]]) -> float:
    """Geometric mean of the clipped precisions of the orders that the text has m-grams of."""
    logs: list[float] = []
    zeros = 0
    for own, largest in zip(grams, most, strict=True):
        if not own:
            break
        matched = 0
        for gram, count in own.items():
            first, second = largest[gram]
            matched += min(count, second if count == first else first)
        if not logs and matched == 0:
            return 0.0  # not one word is shared, which smoothing shall not hide
        zeros += matched == 0
        logs.append(math.log((matched or 0.5**zeros) / own.total()))
    return math.exp(sum(logs) / len(logs)) if logs else 0.0


def _brevity(length: int, others: Sequence[int]) -> float:
    """1, or less where the text is shorter than the reference nearest in length (of two as near: the shorter)."""
    nearest = min(others, key=lambda other: (abs(other - length), other))
    return 0.0 if length == 0 else min(1.0, math.exp(1 - nearest / length))
