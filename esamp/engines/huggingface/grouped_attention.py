"""Attention of one new position whose keys and values are read where they lie, not once for each head that shares them.

transformers does the same in eager mode where rows are padded. Where they are not it leaves the sharing to PyTorch,
whose kernel for CPUs takes three times as long in bfloat16; and where it is compiled it repeats keys and values.
Registered with its `AttentionInterface`, like any attention of a user's own.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

__all__ = ["attend", "grouped_attention"]

_NAME = "esamp_grouped"


def attend(
    module: nn.Module,
    query: Float[Tensor, "rows heads new width"],
    key: Float[Tensor, "rows shared positions width"],
    value: Float[Tensor, "rows shared positions width_out"],
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Float[Tensor, "rows new heads width_out"], None]:
    """What transformers' "sdpa" gives, which is called unless there is one new position and one mask for all heads.

    Heads that share keys and values are neighbours, and become the queries of one attention.
    """
    rows, heads, new, _ = query.shape
    shared = key.shape[1]
    plain = not dropout and others.get("softcap") is None and others.get("position_bias") is None
    # Without a mask, all of PyTorch's kernels but one know what to do with heads that share.
    slow = query.device.type == "cpu" and query.dtype.itemsize < torch.float32.itemsize
    fits = slow if attention_mask is None else attention_mask.shape[1] == 1
    if new != 1 or not plain or not fits:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **others)
    grouped = query.reshape(rows, shared, heads // shared, -1)
    attended = scaled_dot_product_attention(grouped, key, value, attn_mask=attention_mask, scale=scaling)
    return attended.reshape(rows, 1, heads, -1), None


AttentionInterface.register(_NAME, attend)
AttentionMaskInterface.register(_NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


@contextmanager
def grouped_attention(model: PreTrainedModel) -> Generator[None]:
    """While entered, a model whose decoder attends by "sdpa" does so by `attend`; others stay as they are."""
    config: Any = model.config.get_text_config(decoder=True)
    if config._attn_implementation != "sdpa":
        yield
        return
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"
