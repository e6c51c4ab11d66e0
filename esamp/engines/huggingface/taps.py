"""Where h¹ and hᴸ are read from a decoder-only model of transformers: two hooks, found by the model's own accessors."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

__all__ = ["Taps", "evaluation_mode", "find_first_layer", "find_head_module", "find_layers"]


def find_layers(model: PreTrainedModel) -> nn.ModuleList:
    """The decoder layers: the outermost list that is as long as the model is deep.

    Raises:
        ValueError: the model has no such list.
    """
    depth = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    if isinstance(depth, int) and depth > 0:
        for root in (model.get_decoder(), model):
            # The outermost first, so that a list of as many experts or adapters inside a part is not met before.
            for _, module in sorted(root.named_modules(), key=lambda named: named[0].count(".")):
                if isinstance(module, nn.ModuleList) and len(module) == depth:
                    return module
    raise ValueError(
        f"model must have a list of num_hidden_layers = {depth} decoder layers, and {type(model).__name__} has none; "
        "ESamp reads the residual stream after the first of them: use a decoder-only transformer"
    )


def find_first_layer(model: PreTrainedModel) -> nn.Module:
    """The first decoder layer.

    Raises:
        ValueError: the model has no list of layers.
    """
    return find_layers(model)[0]


def find_head_module(model: PreTrainedModel) -> nn.Module:
    """The LM head: the model's output embeddings.

    Raises:
        ValueError: the model has none.
    """
    head = model.get_output_embeddings()
    if head is None:
        raise ValueError(
            f"model must have an LM head, and {type(model).__name__}.get_output_embeddings() is None; "
            "load it with AutoModelForCausalLM"
        )
    return head


@contextmanager
def evaluation_mode(model: nn.Module) -> Generator[None]:
    """While entered, the model is in evaluation mode; then each of its modules is in the mode it was in before."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class Taps:
    """While entered, each forward leaves h¹ and hᴸ of the last position in `shallow` and `deep`, on the head's device.

    Args:
        model: a decoder-only model with an LM head.
        sequences: keep h¹ and hᴸ of all positions too.

    Attributes:
        on_shallow: called with h¹ as soon as the first layer is done; may be set and unset at any time.
    """

    def __init__(self, model: PreTrainedModel, *, sequences: bool = False) -> None:
        self._model = type(model).__name__
        self._first_layer = find_first_layer(model)
        self._decoder = model.get_decoder() if sequences else None
        self._sequences: list[Tensor] = []
        self._head = find_head_module(model)
        # A model may be spread over devices; what is done with hidden states is done beside the head.
        self._device = next(self._head.parameters()).device
        self._hooks: list[RemovableHandle] = []
        self.on_shallow: Callable[[Tensor], None] | None = None
        self.shallow: Float[Tensor, "rows d"] | None = None
        self.deep: Float[Tensor, "rows d"] | None = None

    def __enter__(self) -> Taps:
        if self._decoder is not None:
            self._hooks.append(self._decoder.register_forward_hook(self._after_decoder))
        self._hooks += [
            self._first_layer.register_forward_hook(self._after_first_layer),
            self._head.register_forward_pre_hook(self._before_head),
        ]
        return self

    def sequences(self) -> tuple[Float[Tensor, "rows positions d"], Float[Tensor, "rows positions d"]]:
        """h¹ and hᴸ of all positions of the last forward.

        Raises:
            ValueError: the decoder's output is not what the head multiplies: hᴸ is known at the last position only.
        """
        shallow, deep = (hidden.to(self._device) for hidden in self._sequences)
        if self.deep is None or deep.shape[-1] != self.deep.shape[-1] or not torch.equal(deep[:, -1], self.deep):
            raise ValueError(
                "learn_prompt must be False for this model: between decoder and head it changes the hidden state"
            )
        return shallow, deep

    def read(self, name: str) -> Float[Tensor, "rows d"]:
        """What the tap "shallow" or "deep" saw last.

        Raises:
            RuntimeError: it saw nothing.
        """
        hidden: Tensor | None = getattr(self, name)
        if hidden is None:
            raise RuntimeError(
                f"the tap of {name!r} saw nothing in a forward of {self._model}: "
                "the model bypasses its first layer's or its head's __call__"
            )
        return hidden

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._sequences = []
        self.on_shallow = self.shallow = self.deep = None

    def _after_first_layer(self, module: nn.Module, inputs: object, output: Tensor | Sequence[Any]) -> None:
        hidden: Tensor = output if isinstance(output, Tensor) else output[0]
        self.shallow = hidden[:, -1].to(self._device)
        self._sequences = [hidden] if self._decoder is not None else []
        if self.on_shallow is not None:
            self.on_shallow(self.shallow)

    def _before_head(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.deep = inputs[0][:, -1].to(self._device)

    def _after_decoder(self, module: nn.Module, inputs: object, output: Any) -> None:
        self._sequences.append(output[0])
