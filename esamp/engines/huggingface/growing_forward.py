"""The forward of one token as transformers runs it: operation by operation, over a cache that grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedModel
from typing_extensions import override

from esamp.engines.huggingface.cache import expand, keep_rows
from esamp.engines.huggingface.grouped_attention import grouped_attention
from esamp.engines.huggingface.taps import Taps
from esamp.engines.huggingface.token_forward import Forwarded, Prefilled, TokenForward

__all__ = ["GrowingForward"]


@final
class GrowingForward(TokenForward):
    """Forwards through the model's own `forward`; h¹ is shown as soon as the first layer is done.

    Args:
        forward: `HuggingFaceEngine.forward`.
        model: the engine's.
        prefilled: where to go on from.
        on_shallow: called with h¹ [rows, d] of each forward.
    """

    def __init__(
        self,
        forward: Callable[[Tensor, Tensor, Any], tuple[Tensor, Any]],
        model: PreTrainedModel,
        prefilled: Prefilled,
        on_shallow: Callable[[Tensor], None],
    ) -> None:
        super().__init__(Taps(model), grouped_attention(model))
        expand(prefilled.cache, prefilled.prompt)
        self._forward = forward
        self._cache = prefilled.cache
        self._mask = prefilled.mask
        self._length = prefilled.length
        self._on_shallow = on_shallow

    @override
    def __enter__(self) -> GrowingForward:
        super().__enter__()
        self._taps.on_shallow = self._on_shallow
        return self

    @override
    def __call__(self, tokens: Int[Tensor, " rows"]) -> Forwarded:
        self._length += 1
        logits, self._cache = self._forward(tokens.unsqueeze(-1), self._mask[:, : self._length], self._cache)
        return Forwarded(self._taps.read("deep"), logits)

    @override
    def keep(self, order: Int[Tensor, " kept"]) -> None:
        self._mask = self._mask[order]
        keep_rows(self._cache, order)
