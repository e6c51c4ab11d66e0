"""The cache with room holds what a cache that is copied for every token holds."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import DynamicCache, MistralConfig

from esamp.engines.huggingface.cache import RoomyLayer, expand, keep_rows, order_of_kept

HEADS, WIDTH, LAYERS = 2, 3, 2


def filled(prompts: int, length: int) -> DynamicCache:
    cache = DynamicCache()
    append(cache, prompts, length)
    return cache


def append(cache: DynamicCache, rows: int, positions: int) -> list[tuple[Tensor, Tensor]]:
    made = torch.Generator().manual_seed(1000 * rows + cache.get_seq_length())
    states = torch.randn(LAYERS, 2, rows, HEADS, positions, WIDTH, generator=made)
    return [cache.update(keys, values, index) for index, (keys, values) in enumerate(states)]


@settings(deadline=None)
@given(st.data())
def test_it_holds_what_a_dynamic_cache_holds(data: st.DataObject) -> None:
    prompts, n = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    roomy, plain = filled(prompts, 5), filled(prompts, 5)
    rows = torch.arange(prompts).repeat_interleave(n)
    expand(roomy, rows)
    plain.reorder_cache(rows)
    assert all(isinstance(layer, RoomyLayer) for layer in roomy.layers)
    count = prompts * n
    for positions in data.draw(st.lists(st.sampled_from([1, 2, 200]), min_size=1, max_size=6)):
        for got, wanted in zip(append(roomy, count, positions), append(plain, count, positions), strict=True):
            assert torch.equal(got[0], wanted[0])
            assert torch.equal(got[1], wanted[1])
        assert roomy.get_seq_length() == plain.get_seq_length()
        kept = data.draw(st.lists(st.integers(0, count - 1), unique=True, min_size=1).map(sorted))
        order = torch.tensor(order_of_kept(kept))
        assert sorted(order.tolist()) == kept
        keep_rows(roomy, order)
        plain.reorder_cache(order)
        count = len(kept)


def test_only_rows_that_fill_a_gap_move() -> None:
    assert order_of_kept([0, 1, 2]) == [0, 1, 2]
    assert order_of_kept([0, 1, 3]) == [0, 1, 3]
    assert order_of_kept([2, 3, 4]) == [4, 3, 2]
    assert order_of_kept([]) == []


def test_a_token_is_written_into_room_that_is_there() -> None:
    cache = filled(2, 4)
    expand(cache, torch.tensor([0, 1, 1]))
    append(cache, 3, 1)
    before = cache.layers[0].keys.data_ptr()
    append(cache, 3, 1)
    keep_rows(cache, torch.tensor([0, 2]))
    append(cache, 2, 1)
    assert cache.layers[0].keys.data_ptr() == before


def test_layers_that_are_not_plain_keep_their_own_way() -> None:
    config = MistralConfig(num_hidden_layers=LAYERS, sliding_window=3, num_key_value_heads=HEADS)
    cache, plain = DynamicCache(config=config), DynamicCache(config=config)
    for each in (cache, plain):
        append(each, 2, 5)
    rows = torch.tensor([0, 1, 1])
    expand(cache, rows)
    plain.reorder_cache(rows)
    order = torch.tensor(order_of_kept([1, 2]))
    keep_rows(cache, order)
    plain.reorder_cache(order)
    for got, wanted in zip(append(cache, 2, 1), append(plain, 2, 1), strict=True):
        assert torch.equal(got[0], wanted[0])
    assert not any(isinstance(layer, RoomyLayer) for layer in cache.layers)
