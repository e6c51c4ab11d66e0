"""The forward of one token for each row: what a decode loop needs of a model, once the prompts are prefilled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from esamp.engines.huggingface.taps import Taps

__all__ = ["Forwarded", "Prefilled", "TokenForward"]


@dataclass(frozen=True)
class Prefilled:
    """What the prefill of prompts leaves to go on from.

    Attributes:
        cache: of the prompts; whoever goes on takes it over.
        mask: attention mask of each row, 0 for left padding, int64 [rows, longest].
        length: positions that the cache holds.
        prompt: the prompt of each row, by its row in the cache, int64 [rows].
    """

    cache: Any
    mask: Int[Tensor, "rows longest"]
    length: int
    prompt: Int[Tensor, " rows"]


class Forwarded(NamedTuple):
    """What a forward shows of the positions that were forwarded, one of each row.

    Attributes:
        deep: hᴸ, in the model's dtype.
        logits: the model's.
    """

    deep: Float[Tensor, "rows d"]
    logits: Float[Tensor, "rows vocab"]


class TokenForward(ABC):
    """While entered, forwards a token for each row, and keeps the rows' cache, masks and positions.

    Each forward shows h¹ to the callable that it was made with, as early as it can.

    Args:
        taps: on the model; entered last.
        others: to be entered beside them.
    """

    def __init__(self, taps: Taps, *others: AbstractContextManager[Any]) -> None:
        self._taps = taps
        self._others = others

    def __enter__(self) -> TokenForward:
        with ExitStack() as stack:
            for context in (*self._others, self._taps):
                stack.enter_context(context)
            self._undo = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._undo.close()

    @abstractmethod
    def __call__(self, tokens: Int[Tensor, " rows"]) -> Forwarded:
        """Forward these tokens, one for each row."""

    @abstractmethod
    def keep(self, order: Int[Tensor, " kept"]) -> None:
        """Go on with the rows at `order` alone, as `order_of_kept` gives it."""
