"""The normalisation between a transformers model's last decoder layer and its head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from esamp.engines.huggingface.taps import evaluation_mode, find_head_module, find_layers

__all__ = ["read_final_norm"]


@torch.no_grad()
def read_final_norm(model: PreTrainedModel) -> Callable[[Tensor], Tensor]:
    """What makes hᴸ of the residual stream after the last layer, as a function that gives float32.

    One forward of two tokens shows which module is given the last layer's output and returns the head's input.

    Raises:
        ValueError: there is no such module.
    """
    last = find_layers(model)[-1]
    seen: list[tuple[nn.Module, Tensor, Tensor]] = []
    ends: dict[str, Tensor] = {}

    def after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            seen.append((module, inputs[0], output))

    def after_last(module: nn.Module, inputs: object, output: Tensor | Sequence[Any]) -> None:
        ends["stream"] = output if isinstance(output, Tensor) else output[0]

    def before_head(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        ends["deep"] = inputs[0]

    head = find_head_module(model)
    hooks = [module.register_forward_hook(after) for module in model.modules() if module is not last]
    hooks += [last.register_forward_hook(after_last), head.register_forward_pre_hook(before_head)]
    try:
        with evaluation_mode(model):
            ids = torch.tensor([[0, 1]], device=next(head.parameters()).device)
            model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    for module, given, made in seen:
        if _same(given, ends["stream"]) and _same(made, ends["deep"]):
            dtype, device = given.dtype, given.device
            return lambda hidden: module(hidden.to(device, dtype)).to(hidden.device, torch.float32)
    raise ValueError(
        f"the early layer of {type(model).__name__} cannot be read out: between its last layer and its head stands "
        "something else than one normalisation; use another distiller"
    )


def _same(got: Tensor, wanted: Tensor) -> bool:
    """Equal at the last position; the head may have been given that one alone."""
    return got.shape[-1] == wanted.shape[-1] and got.dim() == wanted.dim() and torch.equal(got[:, -1], wanted[:, -1])
