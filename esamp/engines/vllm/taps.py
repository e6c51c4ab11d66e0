"""Where h¹ and hᴸ of the sampled rows are read from a vLLM model, whatever batches, chunks and graphs it runs in.

The model's output is made wider: [hᴸ | h¹ | position]. The runner then picks the sampled rows out of it as it always
does, so that h¹ and the position come along for exactly those rows, without a look at attention metadata and without
Python inside a captured graph. Just before the logits are made, which every runner does eagerly, the rows are taken
apart again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from esamp.engines.vllm.compatibility import UnsupportedVLLMError

__all__ = ["TappedRows", "Taps", "join_position", "split_position"]

# Three digits to the base 256: exact in every floating-point format with eight bits of mantissa, up to 16 million.
_BASE = 256
_DIGITS = 3


def split_position(position: Int[Tensor, " tokens"], dtype: torch.dtype) -> Float[Tensor, "tokens 3"]:
    """Positions as digits that any dtype of a model holds exactly; the inverse of `join_position`.

    >>> split_position(torch.tensor([65537]), torch.bfloat16).tolist()
    [[1.0, 0.0, 1.0]]
    """
    position = position.long()
    digits = [position // _BASE**power % _BASE for power in reversed(range(_DIGITS))]
    return torch.stack(digits, dim=-1).to(dtype)


def join_position(digits: Float[Tensor, "tokens 3"]) -> Int[Tensor, " tokens"]:
    """Positions from their digits."""
    high, middle, low = digits.long().unbind(dim=-1)
    return (high * _BASE + middle) * _BASE + low


@dataclass(frozen=True)
class TappedRows:
    """The rows whose logits were made last, in the order of the logits.

    Attributes:
        deep: hᴸ, what the head multiplied.
        shallow: h¹ at the same positions.
        position: of each row in its sequence.
    """

    deep: Float[Tensor, "rows d"]
    shallow: Float[Tensor, "rows d"]
    position: Int[Tensor, " rows"]


class Taps:
    """The hooks on one model.

    Args:
        model: the top-level model, with an interface to show inner layers.
        logits_layer: its layer that makes logits.
        width: d.
    """

    def __init__(self, model: Any, logits_layer: nn.Module, width: int) -> None:
        self.width = width
        self._last: TappedRows | None = None
        # Index 1 is the residual stream that enters the second layer: h¹.
        model.set_aux_hidden_state_layers((1,))
        model.register_forward_hook(self._pack, with_kwargs=True)
        logits_layer.register_forward_pre_hook(self._unpack, with_kwargs=True)

    def take(self) -> TappedRows | None:
        """The rows of the last logits, once; None where there were none since."""
        rows, self._last = self._last, None
        return rows

    def _pack(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any) -> Tensor:
        if not isinstance(output, tuple):
            raise UnsupportedVLLMError(
                f"{type(module).__name__} returned {type(output).__name__} and no inner layer: it was compiled before "
                "ESamp tapped it; remove vLLM's compile cache (~/.cache/vllm) or start with --enforce-eager"
            )
        deep, (shallow,) = output
        position = named["positions"] if "positions" in named else arguments[1]
        if position.dim() == 2:
            # Positions in time, height and width: time it is.
            position = position[0]
        digits = split_position(position[: len(deep)], deep.dtype)
        return torch.cat([deep, shallow.to(deep.dtype), digits], dim=-1)

    def _unpack(
        self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        head, packed, *rest = arguments
        if packed.shape[-1] != 2 * self.width + _DIGITS:
            return None
        deep, shallow, digits = packed.split([self.width, self.width, _DIGITS], dim=-1)
        deep = deep.contiguous()
        self._last = TappedRows(deep, shallow, join_position(digits))
        return (head, deep, *rest), named
