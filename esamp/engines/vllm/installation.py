"""ESamp on one loaded model: its taps, and the explorer that works on what they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import nn
from vllm.model_executor.models.interfaces import supports_eagle3

from esamp.bank import Bank
from esamp.candidates import Filters
from esamp.engines.vllm.compatibility import UnsupportedVLLMError
from esamp.engines.vllm.head import find_logits_layer, read_head
from esamp.engines.vllm.records import Records
from esamp.engines.vllm.settings import Settings
from esamp.engines.vllm.step import Step
from esamp.engines.vllm.taps import Taps
from esamp.explorer import Explorer
from esamp.fusion.base import Texts
from esamp.llm import FrozenLLM

__all__ = ["Installation", "install", "installation_of", "make_explorer"]


@dataclass(frozen=True, eq=False)
class Installation:
    """What the loader leaves for the logits processor of the same engine.

    Attributes:
        model: name of the model's class.
        settings: the operator's.
        taps: read h¹ and hᴸ of the sampled rows.
        explorer: one slot a group, on the device of the head.
        records: what requests that ask for it leave behind, token by token.
        observers: each is shown every step, after it; what they keep of it are tensors on the device.
    """

    model: str
    settings: Settings
    taps: Taps
    explorer: Explorer
    records: Records
    observers: list[Callable[[Step], None]]

    def describe(self) -> str:
        """One line, for the log: what is on, and what a group costs."""
        head = self.explorer.bank.head
        each = self.explorer.bank.distiller.memory(head.weight.shape[1]) / 2**20
        return (
            f"{self.model} tapped after its first layer, width {head.weight.shape[1]}, {head.vocabulary} tokens; "
            f"{self.settings.describe()}, {each:.1f} MiB each"
        )


# A loader and a logits processor of one engine share nothing but its configuration, which cannot carry an object to
# compile against. The model keeps its installation alive, and it goes when the model goes.
_installations: WeakValueDictionary[str, Installation] = WeakValueDictionary()


def install(model: nn.Module, vllm_config: Any) -> Installation:
    """Tap a loaded model and make its bank, so that vLLM counts the bank's memory as the model's.

    Raises:
        UnsupportedVLLMError: the model cannot show its first layer's output, or its head cannot be read.
        TypeError, ValueError: a setting is wrong.
    """
    name = type(model).__name__
    if not supports_eagle3(model):
        raise UnsupportedVLLMError(
            f"{name} cannot show its first layer's output: it lacks vLLM's SupportsEagle3, which the models have that "
            "EAGLE-3 runs with (Llama, Qwen, Mistral, Gemma, gpt-oss and more); use one of those"
        )
    settings = Settings.of(vllm_config)
    _, layer, lm_head = find_logits_layer(model)
    head = read_head(layer, lm_head)
    explorer = make_explorer(settings, FrozenLLM(head), lambda: _token_texts(vllm_config, head.vocabulary))
    width = head.weight.shape[1]
    records = Records(explorer)
    installation = Installation(name, settings, Taps(model, layer, width), explorer, records, [records.write])
    # An ordinary attribute, which holds it as long as the model lives.
    object.__setattr__(model, "esamp", installation)
    _installations[vllm_config.instance_id] = installation
    return installation


def make_explorer(settings: Settings, llm: FrozenLLM, texts: Texts = tuple[str]) -> Explorer:
    """The explorer of an engine: a bank of as many slots as groups may live, each with its own warm-up."""
    device = llm.head.weight.device
    bank = Bank(settings.build_distiller(), settings.build_fusion(), llm, settings.max_groups, texts)
    return Explorer(
        bank,
        settings.max_lanes,
        settings.build_scheduler().bind(device),
        Filters(),
        warmup=torch.full((settings.max_groups,), settings.warmup, device=device),
        prefilter=settings.prefilter,
    )


def installation_of(vllm_config: Any) -> Installation:
    """What was installed on the model of an engine.

    Raises:
        UnsupportedVLLMError: nothing was.
    """
    installation = _installations.get(vllm_config.instance_id)
    if installation is None:
        raise UnsupportedVLLMError(
            "the logits processor of ESamp needs a model that was loaded with --load-format esamp; add that flag, or "
            "start with `esamp serve`"
        )
    return installation


def _token_texts(vllm_config: Any, vocabulary: int) -> list[str]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(vllm_config.model_config.tokenizer)
    return list(tokenizer.batch_decode([[token] for token in range(vocabulary)]))
