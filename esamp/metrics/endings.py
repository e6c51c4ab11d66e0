"""How samples end: cut off at the token limit, or going round in a loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from jaxtyping import Int
from torch import Tensor

from esamp.checks import check_integer, check_number

__all__ = ["is_looping", "looping_rate", "truncation_rate"]


def truncation_rate(finish_reasons: Sequence[str]) -> float:
    """Share of the samples that the token limit cut off (`Sample.finish_reason` "length"); NaN where there is none.

    Examples:
        >>> truncation_rate(["eos", "length", "stop", "length"])
        0.5
    """
    return fmean(reason == "length" for reason in finish_reasons) if finish_reasons else math.nan


def looping_rate(token_ids: Sequence[Int[Tensor, " _"]], window: int = 32, share: float = 0.5) -> float:
    """Share of the samples that end in a loop (`is_looping`); NaN where there is none.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: `window` or `share` is out of range.

    Examples:
        >>> import torch
        >>> looping_rate([torch.tensor([1, 2, 3] * 20), torch.arange(60)])
        0.5
    """
    return fmean(is_looping(ids, window, share) for ids in token_ids) if token_ids else math.nan


def is_looping(token_ids: Int[Tensor, " tokens"], window: int = 32, share: float = 0.5) -> bool:
    """Whether more than `share` of the token 4-grams in a sample's last `window` tokens stood there before.

    Tokens and not words, for a loop may have no white space ("A.A.R.A."), and not an exact period, for loops wobble. A
    sample of fewer tokens than the window does not loop: it cannot have gone round often.

    Args:
        token_ids: of the sample (`Sample.token_ids`).
        window: tokens at its end, at least 8.
        share: of repeated 4-grams, in [0, 1).

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: `window` or `share` is out of range.

    Examples:
        >>> import torch
        >>> is_looping(torch.tensor([1, 2, 3] * 20)), is_looping(torch.arange(60))
        (True, False)
    """
    check_integer("window", window, low=8)
    check_number("share", share, low=0, high=1, high_open=True)
    if len(token_ids) < window:
        return False
    grams = token_ids[-window:].unfold(0, 4, 1)
    return 1 - len(grams.unique(dim=0)) / len(grams) > share
