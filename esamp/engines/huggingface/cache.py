"""A key-value cache with room: a token is written where it belongs, and a row that leaves is overwritten."""

from __future__ import annotations

from typing import Any, final

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer
from typing_extensions import override

__all__ = ["expand", "keep_rows", "moves", "order_of_kept"]

# Positions that are allocated together. A dynamic layer allocates, and copies, everything anew for each token.
_ROOM = 128


@final
class RoomyLayer(DynamicLayer):
    """What a dynamic layer holds, in buffers that have room for more positions than are filled.

    Args:
        layer: the layer to go on from.
        rows: rows of it that are wanted, in this order; one may be wanted several times.
    """

    def __init__(self, layer: DynamicLayer, rows: Int[Tensor, " rows"]) -> None:
        super().__init__()
        assert layer.keys is not None
        assert layer.values is not None
        self.dtype: torch.dtype = layer.dtype
        self.device: torch.device = layer.device
        self.is_initialized = True
        self._keys, self.keys = _with_room(layer.keys, rows)
        self._values, self.values = _with_room(layer.values, rows)

    @override
    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        assert self.keys is not None
        assert self.values is not None
        rows, start = self.keys.shape[0], self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if end > self._keys.shape[-2]:
            self._keys, _ = _with_room(self.keys, None, end - start)
            self._values, _ = _with_room(self.values, None, end - start)
        self._keys[:rows, :, start:end] = key_states
        self._values[:rows, :, start:end] = value_states
        self.keys, self.values = self._keys[:rows, :, :end], self._values[:rows, :, :end]
        return self.keys, self.values

    @override
    def reorder_cache(self, beam_idx: Int[Tensor, " rows"]) -> None:
        assert self.keys is not None
        assert self.values is not None
        self._keys, self.keys = _with_room(self.keys, beam_idx)
        self._values, self.values = _with_room(self.values, beam_idx)

    def keep(self, count: int, moved: Int[Tensor, " k"], to: Int[Tensor, " k"]) -> None:
        """Write the rows `moved` over the rows `to`, then keep the first `count`."""
        assert self.keys is not None
        assert self.values is not None
        if len(moved):
            moved, to = moved.to(self.device), to.to(self.device)
            self.keys[to] = self.keys[moved]
            self.values[to] = self.values[moved]
        self.keys, self.values = self.keys[:count], self.values[:count]


def expand(cache: Cache, rows: Int[Tensor, " rows"]) -> None:
    """Make these rows of a cache the rows of it, with room where its layers would be copied for each token."""
    if type(cache) is not DynamicCache or cache.offloading:
        cache.reorder_cache(rows)  # pyright: ignore[reportArgumentType]  (an int64 tensor)
        return
    for index, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.get_seq_length() > 0:
            cache.layers[index] = RoomyLayer(layer, rows)
        else:
            layer.reorder_cache(rows)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]


def order_of_kept(kept: list[int]) -> list[int]:
    """The rows that go on, in an order in which as few as possible move: the last of them fill the gaps.

    >>> order_of_kept([0, 2, 3, 5])
    [0, 5, 2, 3]
    """
    count = len(kept)
    stay = {row for row in kept if row < count}
    movers = iter(reversed([row for row in kept if row >= count]))
    return [row if row in stay else next(movers) for row in range(count)]


def moves(order: Int[Tensor, " rows"]) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
    """The rows that move where those at `order` go on, and the places that they move to."""
    to = (order != torch.arange(len(order), device=order.device)).nonzero().squeeze(1)
    return order[to], to


def keep_rows(cache: Cache, order: Int[Tensor, " rows"]) -> None:
    """Make the rows at `order`, as `order_of_kept` gives it, the rows of a cache."""
    if not all(isinstance(layer, RoomyLayer) for layer in cache.layers):
        cache.reorder_cache(order)  # pyright: ignore[reportArgumentType]  (an int64 tensor)
        return
    moved, to = moves(order)
    for layer in cache.layers:
        assert isinstance(layer, RoomyLayer)
        layer.keep(len(order), moved, to)


def _with_room(states: Tensor, rows: Tensor | None, new: int = 0) -> tuple[Tensor, Tensor]:
    """A buffer that begins with these rows of `states`, [rows, heads, positions, width], and what is filled of it."""
    filled = states.shape[-2]
    count = len(states) if rows is None else len(rows)
    buffer = states.new_empty(count, states.shape[1], filled + max(new, _ROOM), states.shape[-1])
    buffer[:, :, :filled] = states if rows is None else states[rows.to(states.device)]
    return buffer, buffer[:, :, :filled]
