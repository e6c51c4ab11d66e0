"""A key-value cache whose buffers stay where they are: of full length from the start, as compiled code wants it."""

from __future__ import annotations

from typing import Any, final

import torch
from jaxtyping import Int
from torch import Tensor
from torch._dynamo import mark_dynamic, mark_static_address
from transformers import Cache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer, StaticLayer
from typing_extensions import override

__all__ = ["StaticRows", "make_static"]


@final
class StaticRows(StaticLayer):
    """What a dynamic layer holds, in buffers for all positions to come; of their rows the first ones are in use.

    A layer with a sliding window keeps everything too: its mask hides what is out of the window.

    Args:
        layer: the layer to go on from.
        rows: rows of it that are wanted, in this order; one may be wanted several times.
        position: positions that are filled, int64 []; counted on by whoever forwards.
        filled: the same, on the host.
        length: positions that there may be.
    """

    def __init__(
        self, layer: DynamicLayer, rows: Int[Tensor, " rows"], position: Int[Tensor, ""], filled: int, length: int
    ) -> None:
        super().__init__(max_cache_len=length)
        assert layer.keys is not None
        assert layer.values is not None
        self.dtype: torch.dtype = layer.dtype
        self.device: torch.device = layer.device
        self.is_initialized = True
        self._position = position
        self._keys, self._values = (_filled(states, rows, filled, length) for states in (layer.keys, layer.values))
        self.narrow(len(rows))

    @override
    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        assert self.keys is not None
        assert self.values is not None
        place = self._position.reshape(1)
        self.keys.index_copy_(2, place, key_states)
        self.values.index_copy_(2, place, value_states)
        return self.keys, self.values

    @override
    def get_seq_length(self) -> Any:
        return self._position

    @override
    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        assert self.keys is not None
        # Read off a tensor, it may differ from call to call; a number would be compiled in.
        return self.keys.shape[-2], 0

    def narrow(self, count: int) -> None:
        """Use the first `count` rows alone."""
        self.keys, self.values = _in_use(self._keys, count), _in_use(self._values, count)

    def move(self, moved: Int[Tensor, " k"], to: Int[Tensor, " k"]) -> None:
        """Write the rows `moved` over the rows `to`."""
        for states in (self._keys, self._values):
            states[to] = states[moved]


def make_static(cache: Cache, rows: Int[Tensor, " rows"], position: Int[Tensor, ""], length: int) -> list[StaticRows]:
    """Make these rows of a cache the rows of it, in static buffers; its new layers.

    Args:
        cache: what a prefill gave back.
        rows: as `StaticRows` takes them, and so the rest.
        position: positions that are filled, int64 [].
        length: positions that there may be.

    Raises:
        ValueError: a layer of it is of another kind than those with keys and values of each position, or elsewhere.
    """
    layers: list[StaticRows] = []
    filled = int(position)  # once: it may have to wait for a device
    for index, layer in enumerate(cache.layers):
        plain = _plain(layer, index, cache.offloading, position.device)
        layers.append(StaticRows(plain, rows, position, filled, length))
        cache.layers[index] = layers[-1]
    return layers


def _plain(layer: object, index: int, offloading: bool, device: torch.device) -> DynamicLayer:
    """The layer, if it holds keys and values of each position on this device."""
    if (
        not isinstance(layer, DynamicLayer)
        or type(layer) not in {DynamicLayer, DynamicSlidingWindowLayer}
        or offloading
    ):
        raise ValueError(
            f"compiled must be False for this model, whose cache has a {type(layer).__name__}: only keys and "
            "values of every position, on the model's device, can be put into a static cache"
        )
    if layer.device != device:
        raise ValueError(
            f"compiled must be False for a model that is spread over devices, and of this one layer {index} is on "
            f"{layer.device} and the head on {device}"
        )
    return layer


def _filled(states: Tensor, rows: Tensor, end: int, length: int) -> Tensor:
    """A buffer that holds these rows of `states`, [rows, heads, positions, width], up to position `end`; then zeros."""
    buffer = states.new_zeros(len(rows), states.shape[1], length, states.shape[-1])
    buffer[:, :, end - states.shape[-2] : end] = states[rows]
    return buffer


def _in_use(buffer: Tensor, count: int) -> Tensor:
    """The first rows of a buffer, marked for the compiler: other calls have other sizes, but the address stays."""
    view = buffer[:count]
    mark_dynamic(view, [0, 2])
    mark_static_address(view, guard=False)
    return view
