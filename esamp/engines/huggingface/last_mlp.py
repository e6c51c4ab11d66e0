"""The gated MLP of a transformers model's last layer as tensors, checked against the module's own output."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, silu
from transformers import PreTrainedModel

from esamp.engines.huggingface.taps import evaluation_mode, find_layers
from esamp.llm import GatedMLP

__all__ = ["read_last_mlp"]

_PROJECTIONS = ("gate_proj", "up_proj", "down_proj")
_PROBED = 32

# Sharpness of the SiLU that stands for an activation: x σ(1.702 x) is GELU to within 0.02 (Hendrycks & Gimpel, 2016).
_GELU_SHARPNESS = 1.702
_TOLERANCE, _TOLERANCE_HALF = 1e-3, 2e-2


@torch.no_grad()
def read_last_mlp(model: PreTrainedModel) -> GatedMLP:
    """Gate, up and down projection of the last layer's MLP, and the normalisation before it.

    One forward of a few tokens shows what the MLP is given, which of the layer's parts made it, and how large the
    residual stream is there. What the tensors and the module say must agree.

    Raises:
        ValueError: the last layer has no gated MLP (mixtures of experts, GPT-2), or one that computes something else.
    """
    name = type(model).__name__
    layer = find_layers(model)[-1]
    mlp: Any = _find_mlp(layer, name)
    seen = _Probe(layer, mlp)
    with seen, evaluation_mode(model):
        embeddings: Any = model.get_input_embeddings()
        places = torch.arange(_PROBED, device=embeddings.weight.device)
        model(input_ids=places[None] * (embeddings.weight.shape[0] // _PROBED))
    if seen.given is None or seen.returned is None or seen.norm is None or seen.stream is None:
        raise ValueError(_refusal(name, f"what its {type(mlp).__name__} is given is not made by a normalisation"))
    gate, up, down = (getattr(mlp, projection).weight.detach() for projection in _PROJECTIONS)
    return GatedMLP(
        gate,
        up,
        down,
        _gain(seen.norm, gate),
        seen.stream,
        _sharpness(seen.given, seen.returned, (gate, up, down), name),
    )


def _find_mlp(layer: nn.Module, name: str) -> nn.Module:
    """The layer's own child with the three projections; an expert inside a child is not the layer's MLP."""
    found = [child for child in layer.children() if all(hasattr(child, projection) for projection in _PROJECTIONS)]
    if len(found) != 1:
        raise ValueError(_refusal(name, f"its last layer has no one MLP with {', '.join(_PROJECTIONS)}"))
    for projection in (getattr(found[0], projection) for projection in _PROJECTIONS):
        weight = getattr(projection, "weight", None)
        matrix = isinstance(weight, Tensor) and weight.is_floating_point() and weight.dim() == 2 and not weight.is_meta
        if not matrix or getattr(projection, "bias", None) is not None:
            raise ValueError(_refusal(name, "its MLP has biases, or weights that are quantised or not in memory"))
    return found[0]


def _sharpness(given: Tensor, returned: Tensor, weights: tuple[Tensor, Tensor, Tensor], name: str) -> float:
    """Which activation the MLP has, by what it makes of what it is given."""
    gate, up, down = weights
    tolerance = _TOLERANCE if gate.dtype.itemsize >= torch.float32.itemsize else _TOLERANCE_HALF
    for sharpness, activation in ((1.0, silu), (_GELU_SHARPNESS, gelu), (_GELU_SHARPNESS, _gelu_tanh)):
        got = linear(activation(linear(given, gate)) * linear(given, up), down)
        if float((got - returned).float().norm()) <= tolerance * float(returned.float().norm()):
            return sharpness
    raise ValueError(_refusal(name, "its MLP does not compute W_down (SiLU or GELU (W_gate x) ⊙ W_up x)"))


def _gelu_tanh(hidden: Tensor) -> Tensor:
    return gelu(hidden, approximate="tanh")


def _gain(norm: nn.Module, like: Tensor) -> Tensor:
    """What a normalisation multiplies each coordinate by, whether it is kept as w or as 1 + w.

    A vector of ±1 in turn has a mean of 0 and a mean square of 1, so that every normalisation leaves it as it is.
    """
    signs = torch.ones_like(like[0])
    signs[1::2] = -1
    return (norm(signs) - norm(-signs)) / 2 * signs


class _Probe:
    """While entered, keeps what the layer's MLP is given and returns, and the normalisation that makes the former.

    `stream` is the size of the residual stream over that of what the MLP returns once it is added: where another
    normalisation stands between (Gemma 2), the factor that it brings is in there.
    """

    def __init__(self, layer: nn.Module, mlp: nn.Module) -> None:
        self.given: Tensor | None = None
        self.returned: Tensor | None = None
        self.norm: nn.Module | None = None
        self.stream: float | None = None
        self._made: list[tuple[nn.Module, Tensor, Tensor]] = []
        self._hooks = [
            child.register_forward_hook(self._normalised) for child in layer.children() if _is_norm(child, mlp)
        ]
        self._hooks.append(mlp.register_forward_hook(self._used))

    def __enter__(self) -> _Probe:
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._made.clear()

    def _normalised(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self.stream is not None and inputs[0] is self.returned:
            self.stream *= _size(inputs[0]) / _size(output)
        self._made.append((module, inputs[0], output))

    def _used(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.given, self.returned = inputs[0], output
        for norm, stream, made in self._made:
            if made.shape == self.given.shape and torch.equal(made, self.given):
                self.norm, self.stream = norm, _size(stream)


def _size(hidden: Tensor) -> float:
    """RMS of the median position: the first one is an attention sink in many models, and many times the others."""
    return float(hidden.float().square().mean(dim=-1).sqrt().median())


def _is_norm(child: nn.Module, mlp: nn.Module) -> bool:
    weight = getattr(child, "weight", None)
    return child is not mlp and isinstance(weight, Tensor) and weight.dim() == 1


def _refusal(name: str, reason: str) -> str:
    return (
        f"start must not be 'llm' for {name}: {reason}; start from 'zero', 'random' or the file of a trained distiller"
    )
