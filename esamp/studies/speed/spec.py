"""Which model and which parts, as plain values that a fresh process can be given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from esamp.checks import check_choice
from esamp.engines.huggingface.loading import load
from esamp.sampler import ESampSampler
from esamp.testing.models import tiny_tokenizer
from esamp.testing.random_llama import RANDOM_LLAMAS, random_llama

__all__ = ["SamplerSpec"]


@final
@dataclass(frozen=True)
class SamplerSpec:
    """What `build` makes a sampler from.

    Attributes:
        model: a name of `RANDOM_LLAMAS`, or one that `ESampSampler.from_pretrained` knows.
        dtype: of the weights; "auto": the checkpoint's own, bfloat16 where the weights are random.
        device: None: a GPU where there is one.
        parts: the keyword arguments of `ESampSampler`.
    """

    model: str = "smollm2-135m"
    dtype: str = "auto"
    device: str | None = None
    parts: dict[str, Any] = field(default_factory=dict[str, Any])

    def build(self) -> ESampSampler:
        """The sampler.

        Raises:
            ModuleNotFoundError: the embedded model's package is not installed.
            ValueError: an argument is out of range, or the model cannot be loaded.
        """
        model, tokenizer = self._load()
        return ESampSampler(model, tokenizer, **self.parts)

    def _load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        if self.model not in RANDOM_LLAMAS:
            return load(self.model, self.dtype, self.device)
        kinds = {"auto": torch.bfloat16} | {kind: getattr(torch, kind) for kind in ("bfloat16", "float16", "float32")}
        dtype: torch.dtype = kinds[check_choice("dtype", self.dtype, kinds)]
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        model = random_llama(RANDOM_LLAMAS[self.model], dtype)
        model.to(torch.device(device))  # pyright: ignore[reportCallIssue, reportArgumentType]
        return model, tiny_tokenizer()
