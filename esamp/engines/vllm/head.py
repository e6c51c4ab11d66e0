"""The LM head of a vLLM model as tensors."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from vllm.distributed import tensor_model_parallel_all_gather
from vllm.model_executor.layers.logits_processor import LogitsProcessor as LogitsLayer

from esamp.engines.vllm.compatibility import UnsupportedVLLMError
from esamp.head import Head

__all__ = ["find_logits_layer", "read_head"]


def find_logits_layer(model: nn.Module) -> tuple[nn.Module, Any, Any]:
    """The part of a model that owns its one layer that makes logits, that layer, and the LM head beside it.

    Raises:
        UnsupportedVLLMError: there is not exactly one such layer, or no head beside it.
    """
    found = [
        (owner, layer)
        for owner in model.modules()
        for layer in owner.children()
        if isinstance(layer, LogitsLayer) and not layer.logits_as_input
    ]
    if len(found) != 1:
        raise UnsupportedVLLMError(
            f"{type(model).__name__} has {len(found)} layers that make logits, and ESamp reads exactly one; use a "
            "decoder-only language model"
        )
    owner, layer = found[0]
    head = getattr(owner, "lm_head", None)
    if head is None or not isinstance(getattr(head, "weight", None), Tensor):
        raise UnsupportedVLLMError(
            f"{type(owner).__name__} has no lm_head with a weight that ESamp can read; use another model"
        )
    return owner, layer, head


def read_head(layer: Any, head: Any) -> Head:
    """Weight, bias, soft-cap and scale. Under tensor parallelism every rank keeps the whole head: its shards gathered.

    Raises:
        UnsupportedVLLMError: the weight is quantised, or the logits are made in a way that `Head` does not know.
    """
    weight, bias = head.weight.detach(), getattr(head, "bias", None)
    if weight.dim() != 2 or not weight.is_floating_point():
        raise UnsupportedVLLMError(
            "ESamp needs an LM head that is not quantised; leave lm_head out of the quantisation"
        )
    if layer.soft_cap is not None and layer.scale != 1.0:
        raise UnsupportedVLLMError("ESamp does not know an LM head with a soft-cap and a scale; use another model")
    if head.tp_size > 1:
        weight = tensor_model_parallel_all_gather(weight, dim=0)
        bias = None if bias is None else tensor_model_parallel_all_gather(bias.detach(), dim=0)
    return Head(
        weight[: layer.org_vocab_size],
        None if bias is None else bias.detach()[: layer.org_vocab_size],
        float(layer.scale),
        layer.soft_cap,
    )
