"""A transformers model and its tokenizer, as ESamp needs them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from esamp.engines.huggingface.head import read_head
from esamp.engines.huggingface.taps import find_first_layer

__all__ = ["HuggingFaceEngine", "Prompt"]

Prompt = str | Sequence[Mapping[str, str]]
"""Raw text, or chat messages such as [{"role": "user", "content": "Hi"}]."""


class HuggingFaceEngine:
    """A decoder-only model of transformers with its tokenizer: encoding, decoding of text, and single forwards.

    Args:
        model: any decoder-only `PreTrainedModel` with an LM head.
        tokenizer: the model's tokenizer.

    Raises:
        TypeError: `model` is not a `PreTrainedModel`, or `tokenizer` is no tokenizer.
        ValueError: the model is an encoder-decoder, or has no layers or head that can be read.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        if not isinstance(model, PreTrainedModel):
            hint = "; to load one by name use ESampSampler.from_pretrained" if isinstance(model, str) else ""
            raise TypeError(f"model must be a transformers PreTrainedModel, got {type(model).__name__}{hint}")
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise TypeError(f"tokenizer must be a transformers tokenizer, got {type(tokenizer).__name__}")
        if model.config.is_encoder_decoder:
            raise ValueError(f"model must be decoder-only, got the encoder-decoder {type(model).__name__}")
        find_first_layer(model)
        self.model = model
        self.tokenizer = tokenizer
        self.head = read_head(model)
        accepted = inspect.signature(model.forward).parameters
        self._cache_name = "cache_params" if "cache_params" in accepted else "past_key_values"
        self._takes_positions = "position_ids" in accepted
        self._takes_logits_to_keep = "logits_to_keep" in accepted

    @property
    def device(self) -> torch.device:
        """Where token ids go in and logits come out."""
        return self.head.weight.device

    @property
    def context_length(self) -> int | None:
        """Largest number of positions, or None where the architecture has no limit."""
        return getattr(self.model.config.get_text_config(decoder=True), "max_position_embeddings", None)

    @property
    def eos_ids(self) -> frozenset[int]:
        """All end-of-sequence ids that the generation configuration and the tokenizer name."""
        found: set[int] = set()
        generation = self.model.generation_config
        for ids in (getattr(generation, "eos_token_id", None), self.tokenizer.eos_token_id):
            found.update(int(token) for token in (ids if isinstance(ids, list) else [] if ids is None else [ids]))
        return frozenset(found)

    def render(self, prompt: Prompt, *, chat: bool) -> str:
        """A prompt as the text that the model sees; messages, and strings where `chat` holds, go through the template.

        Raises:
            ValueError: a chat template is needed and the tokenizer has none.
        """
        if isinstance(prompt, str):
            if not chat:
                return prompt
            prompt = [{"role": "user", "content": prompt}]
        if self.tokenizer.chat_template is None:
            raise ValueError(
                f"prompts hold chat messages, and the tokenizer of {self.model.config.name_or_path!r} has no chat "
                "template; pass plain strings with chat=False"
            )
        messages = [dict(message) for message in prompt]
        return str(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))

    def encode(self, text: str, *, templated: bool) -> list[int]:
        """Token ids of rendered text; a template has put the special tokens there already."""
        return list(self.tokenizer(text, add_special_tokens=not templated)["input_ids"])

    def decode(self, ids: Tensor) -> str:
        """Text of token ids, without special tokens and with its spaces as they are."""
        return str(self.tokenizer.decode(ids.tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def forward(self, ids: Tensor, attention_mask: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """Logits [rows, vocab] of the last position, in the model's dtype, and the cache.

        Args:
            ids: the positions that are not in the cache yet, int64 [rows, new].
            attention_mask: [rows, cached + new]; 0 for left padding.
            cache: what the last forward returned, or None.
        """
        arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": attention_mask, "use_cache": True}
        arguments[self._cache_name] = cache
        if self._takes_positions:
            positions = (attention_mask.cumsum(dim=-1) - 1).clamp_min(0)
            arguments["position_ids"] = positions[:, -ids.shape[1] :]
        if self._takes_logits_to_keep:
            arguments["logits_to_keep"] = 1
        output = self.model(**arguments)
        return output.logits[:, -1], getattr(output, self._cache_name)
