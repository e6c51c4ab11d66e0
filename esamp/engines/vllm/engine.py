"""An `LLM` and its tokenizer, as the rest of esamp knows engines."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedTokenizerBase
from typing_extensions import override

from esamp.engines.text import TextEngine

__all__ = ["VLLMEngine"]


class VLLMEngine(TextEngine):
    """A `vllm.LLM` with ESamp.

    Args:
        llm: an `esamp.engines.vllm.LLM`.
    """

    tokenizer: PreTrainedTokenizerBase

    def __init__(self, llm: Any) -> None:
        self.llm = llm
        self.config = llm.llm_engine.vllm_config
        self.tokenizer = llm.get_tokenizer()

    @property
    @override
    def name(self) -> str:
        return str(self.config.model_config.model)

    @property
    @override
    def context_length(self) -> int:
        return int(self.config.model_config.max_model_len)

    @property
    @override
    def known_tokens(self) -> int:
        return int(self.config.model_config.get_vocab_size())

    def text(self, token_ids: list[int]) -> str:
        """Text of token ids, without special tokens and with its spaces as they are."""
        return self.decode(torch.tensor(token_ids, dtype=torch.int64))

    def close(self) -> None:
        """End the engine, with its processes where it has some: another one may start in this program then."""
        self.llm.llm_engine.engine_core.shutdown()
