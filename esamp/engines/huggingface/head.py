"""The LM head of a transformers model as tensors, checked against the model's own logits."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from esamp.engines.huggingface.taps import Taps, find_head_module
from esamp.head import Head

__all__ = ["computes_in_half", "read_head"]

_TOLERANCE, _TOLERANCE_HALF = 1e-4, 2e-2


@torch.no_grad()
def read_head(model: PreTrainedModel) -> Head:
    """Weight, bias, soft-cap and scale of the model's head.

    Weight and bias are the output embeddings', the soft-cap is the configuration's; the scale is read off one forward
    of two tokens. What head and forward say must then agree, so that a model which treats its logits in a way that is
    not known here is refused rather than sampled wrongly.

    Raises:
        ValueError: the head has no floating-point weight matrix, carries an adapter, or its logits are not the model's.
    """
    module = find_head_module(model)
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() != 2 or not weight.is_floating_point() or weight.is_meta:
        raise ValueError(
            "model must have an LM head with a floating-point weight matrix in memory, and that of "
            f"{type(model).__name__} is {module}; load it without quantising or off-loading the head "
            "(llm_int8_skip_modules=['lm_head'])"
        )
    _check_bare(module, model)
    bias = getattr(module, "bias", None)
    config = model.config.get_text_config(decoder=True)
    plain = Head(weight.detach(), bias.detach() if isinstance(bias, Tensor) else None)
    capped = replace(plain, softcap=getattr(config, "final_logit_softcapping", None))
    with Taps(model) as taps:
        logits = _logits(model, weight.device)
        shallow, deep = taps.shallow, taps.deep
    if shallow is None or deep is None or shallow.shape != deep.shape:
        raise ValueError(
            f"model must call its first layer and its head, and both must be of one width; {type(model).__name__} "
            f"shows {_shape(shallow)} after the first layer and {_shape(deep)} before the head: use another model"
        )
    tolerance = _TOLERANCE_HALF if computes_in_half(model) else _TOLERANCE
    for head in (capped, _with_scale(plain, deep, logits)):
        if head.vocabulary == logits.shape[1] and _distance(head.full(deep), logits) < tolerance:
            return head
    raise ValueError(
        f"model must make its logits as W h + b with a scale or a soft-cap, and {type(model).__name__} makes them in "
        "another way; ESamp could not compute the logits of a predicted hidden state: use another model"
    )


@torch.no_grad()
def computes_in_half(model: PreTrainedModel) -> bool:
    """The head's logits have less than 32 bits: its weights have, or a trainer has put the model under autocast."""
    module = find_head_module(model)
    dtypes: list[torch.dtype] = []
    hook = module.register_forward_hook(lambda module, inputs, output: dtypes.append(output.dtype))
    try:
        _logits(model, next(module.parameters()).device)
    finally:
        hook.remove()
    return any(dtype.itemsize < torch.float32.itemsize for dtype in dtypes)


def _logits(model: PreTrainedModel, device: torch.device) -> Tensor:
    """Logits [1, vocab] of one forward of two tokens."""
    ids = torch.tensor([[0, 1]], device=device)
    return model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[:, -1].float()


def _check_bare(module: nn.Module, model: PreTrainedModel) -> None:
    # An adapter starts at zero, so that the logits would agree now and no longer once it is trained.
    more = [name for name, _ in module.named_parameters() if name not in {"weight", "bias"}]
    if more:
        raise ValueError(
            f"model must have a bare LM head, and that of {type(model).__name__} carries {', '.join(more)}: leave the "
            "head out of the adapter's target_modules and modules_to_save, or merge the adapter (merge_and_unload)"
        )


def _with_scale(plain: Head, deep: Tensor, logits: Tensor) -> Head:
    """The head whose scale fits the logits best."""
    raw, wanted = plain.full(deep).double(), logits.double()
    if raw.shape != wanted.shape or not raw.any():
        return plain
    return replace(plain, scale=float((raw * wanted).sum() / raw.square().sum()))


def _distance(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm().clamp_min(1e-12))


def _shape(hidden: Tensor | None) -> str:
    return "nothing" if hidden is None else str(tuple(hidden.shape))
