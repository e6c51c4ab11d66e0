"""Attention that reads shared keys and values once gives what transformers' own gives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from esamp.engines.huggingface import grouped_attention as module
from esamp.engines.huggingface.grouped_attention import attend, grouped_attention
from esamp.testing.models import tiny_model


def layer_of(group: int) -> nn.Module:
    """What transformers' attention asks a layer for."""
    layer = nn.Module()
    layer.num_key_value_groups, layer.is_causal = group, True
    return layer


@given(
    rows=st.integers(1, 3),
    shared=st.integers(1, 3),
    group=st.integers(1, 4),
    new=st.sampled_from([1, 2]),
    positions=st.integers(2, 9),
    masked=st.booleans(),
    scaling=st.sampled_from([None, 0.3]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 99),
)
def test_it_gives_what_sdpa_gives(
    rows: int,
    shared: int,
    group: int,
    new: int,
    positions: int,
    masked: bool,
    scaling: float | None,
    dtype: torch.dtype,
    seed: int,
) -> None:
    made = torch.Generator().manual_seed(seed)
    query = torch.randn(rows, shared * group, new, 8, generator=made).to(dtype)
    key, value = torch.randn(2, rows, shared, positions, 8, generator=made).to(dtype)
    mask = torch.rand(rows, 1, new, positions, generator=made) < 0.7
    mask[..., 0] = True  # nothing attends to nothing
    layer = layer_of(group)
    given_mask = mask if masked else None
    got, _ = attend(layer, query, key, value, given_mask, scaling=scaling)
    wanted, _ = sdpa_attention_forward(layer, query, key, value, given_mask, scaling=scaling)
    assert got.shape == wanted.shape
    exact = dtype == torch.float32
    torch.testing.assert_close(got, wanted, rtol=1e-5 if exact else 0.03, atol=1e-6 if exact else 0.03)


@pytest.mark.parametrize("mask", [None, torch.ones(2, 1, 1, 5, dtype=torch.bool)])
def test_one_new_position_is_attended_without_repeating_keys(
    mask: torch.Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Size] = []
    plain = torch.nn.functional.scaled_dot_product_attention

    def spy(query: torch.Tensor, key: torch.Tensor, *others: object, **named: object) -> torch.Tensor:
        seen.append(key.shape)
        return plain(query, key, *others, **named)

    monkeypatch.setattr(module, "scaled_dot_product_attention", spy)
    dtype = torch.float32 if mask is not None else torch.bfloat16
    shapes = (2, 6, 1, 4), (2, 2, 5, 4), (2, 2, 5, 4)
    attend(layer_of(3), *(torch.randn(shape, dtype=dtype) for shape in shapes), mask)
    assert seen == [(2, 2, 5, 4)]


@pytest.mark.parametrize("what", [{"softcap": 2.0}, {"position_bias": torch.zeros(1)}])
def test_what_it_does_not_know_it_leaves_to_transformers(
    what: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def spy(*given: object, **named: object) -> tuple[torch.Tensor, None]:
        asked.append(named)
        return torch.zeros(2, 1, 4, 4), None

    monkeypatch.setattr(module, "sdpa_attention_forward", spy)
    mask = torch.ones(2, 1, 1, 5, dtype=torch.bool)
    attend(layer_of(2), torch.randn(2, 4, 1, 4), torch.randn(2, 2, 5, 4), torch.randn(2, 2, 5, 4), mask, **what)
    assert asked == [what]


@pytest.mark.parametrize("before", ["sdpa", "eager"])
def test_only_sdpa_is_exchanged_and_only_for_a_while(before: str) -> None:
    model = tiny_model()
    model.set_attn_implementation(before)
    with pytest.raises(KeyError), grouped_attention(model):
        assert (model.config._attn_implementation == "eager") == (before == "eager")
        assert (model.config._attn_implementation == "esamp_grouped") == (before == "sdpa")
        raise KeyError
    assert model.config._attn_implementation == before
