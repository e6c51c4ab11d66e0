"""The static cache holds what a dynamic one holds, in buffers that stay where they are."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import DynamicCache, MistralConfig
from transformers.cache_utils import LinearAttentionLayer

from esamp.engines.huggingface.cache import moves, order_of_kept
from esamp.engines.huggingface.static_cache import StaticRows, make_static

HEADS, WIDTH, LAYERS, LENGTH, PROMPT = 2, 3, 2, 12, 5


def filled(prompts: int, cache: DynamicCache | None = None) -> DynamicCache:
    made = DynamicCache() if cache is None else cache
    append(made, prompts, PROMPT)
    return made


def append(cache: DynamicCache, rows: int, positions: int = 1, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    drawn = torch.Generator().manual_seed(seed)
    states = torch.randn(LAYERS, 2, rows, HEADS, positions, WIDTH, generator=drawn)
    return [cache.update(keys, values, index) for index, (keys, values) in enumerate(states)]


@given(st.data())
def test_it_holds_what_a_dynamic_cache_holds(data: st.DataObject) -> None:
    prompts, n = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    static, plain = filled(prompts), filled(prompts)
    rows, position = torch.arange(prompts).repeat_interleave(n), torch.tensor(PROMPT)
    layers = make_static(static, rows, position, LENGTH)
    plain.reorder_cache(rows)
    assert static.layers == layers
    count = prompts * n
    for step in range(data.draw(st.integers(1, LENGTH - PROMPT))):
        end = PROMPT + step + 1
        for got, wanted in zip(append(static, count, seed=step), append(plain, count, seed=step), strict=True):
            for held, states in zip(got, wanted, strict=True):
                assert torch.equal(held[:, :, :end], states)
                assert not held[:, :, end:].any()
        position += 1
        assert static.get_seq_length() == plain.get_seq_length() == end
        assert static.get_mask_sizes(1, 0) == (LENGTH, 0)
        kept = data.draw(st.lists(st.integers(0, count - 1), unique=True, min_size=1).map(sorted))
        order = torch.tensor(order_of_kept(kept))
        moved, to = moves(order)
        for layer in layers:
            layer.move(moved, to)
            layer.narrow(len(order))
        plain.reorder_cache(order)
        count = len(kept)


def test_the_buffers_stay_where_they_are() -> None:
    cache = filled(2)
    layers = make_static(cache, torch.tensor([0, 0, 1]), torch.tensor(PROMPT), LENGTH)
    before = [layer.keys.data_ptr() for layer in layers]
    append(cache, 3)
    for layer in layers:
        layer.narrow(2)
    append(cache, 2)
    assert [layer.keys.data_ptr() for layer in layers] == before
    assert layers[0].keys.shape == (2, HEADS, LENGTH, WIDTH)


def test_of_a_sliding_window_the_end_is_where_it_belongs() -> None:
    config = MistralConfig(num_hidden_layers=LAYERS, sliding_window=4, num_key_value_heads=HEADS)
    cache, whole = filled(1, DynamicCache(config=config)), filled(1)
    layers = make_static(cache, torch.tensor([0]), torch.tensor(PROMPT), LENGTH)
    for layer, plain in zip(layers, whole.layers, strict=True):
        assert torch.equal(layer.keys[:, :, 2:PROMPT], plain.keys[:, :, 2:])
        assert not layer.keys[:, :, :2].any()
        assert not layer.is_sliding


def test_layers_without_keys_of_every_position_are_refused_by_name() -> None:
    cache = filled(1)
    cache.layers[1] = LinearAttentionLayer()
    with pytest.raises(ValueError, match=r"compiled must be False .* LinearAttentionLayer"):
        make_static(cache, torch.tensor([0]), torch.tensor(PROMPT), LENGTH)


def test_layers_on_several_devices_are_refused() -> None:
    cache = filled(1)
    layer = cache.layers[1]
    layer.device = torch.device("meta")
    with pytest.raises(ValueError, match=r"compiled must be False .* layer 1 is on meta and the head on cpu"):
        make_static(cache, torch.tensor([0]), torch.tensor(PROMPT), LENGTH)


def test_its_sizes_are_read_off_tensors_and_its_length_off_one_that_is_counted_on() -> None:
    cache, position = filled(1), torch.tensor(PROMPT)
    layer = make_static(cache, torch.tensor([0, 0]), position, LENGTH)[0]
    assert isinstance(layer, StaticRows)
    assert isinstance(cache.get_seq_length(), Tensor)
    position += 3
    assert int(cache.get_seq_length()) == PROMPT + 3
