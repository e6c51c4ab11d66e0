"""What every engine knows of text: prompts as its model reads them, and token ids as text again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor
from transformers import PreTrainedTokenizerBase

__all__ = ["Prompt", "TextEngine"]

Prompt = str | Sequence[Mapping[str, str]] | Sequence[int]
"""Raw text, chat messages such as [{"role": "user", "content": "Hi"}], or token ids, special tokens included."""


class TextEngine(ABC):
    """A model with a tokenizer.

    Attributes:
        tokenizer: the model's own.
    """

    tokenizer: PreTrainedTokenizerBase

    @property
    @abstractmethod
    def name(self) -> str:
        """What the model was loaded by."""

    @property
    @abstractmethod
    def context_length(self) -> int | None:
        """Largest number of positions, or None where the architecture has no limit."""

    @property
    @abstractmethod
    def known_tokens(self) -> int:
        """Number of token ids that the model can read."""

    def render(self, prompt: str | Sequence[Mapping[str, str]], *, chat: bool) -> str:
        """A prompt as the text that the model sees; messages, and strings where `chat` holds, go through the template.

        Raises:
            ValueError: a chat template is needed and the tokenizer has none, or the template refuses the messages.
        """
        if isinstance(prompt, str):
            if not chat:
                return prompt
            prompt = [{"role": "user", "content": prompt}]
        if self.tokenizer.chat_template is None:
            raise ValueError(
                f"prompts hold chat messages, and the tokenizer of {self.name!r} has no chat "
                "template; pass plain strings with chat=False"
            )
        from jinja2 import TemplateError  # an optional dependency: raw text needs no templates

        messages = [dict(message) for message in prompt]
        try:
            return str(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        except TemplateError as error:
            raise ValueError(
                f"prompts hold messages that the model's chat template refuses, got {messages}: {error}; change them"
            ) from error

    def encode(self, text: str, *, templated: bool) -> list[int]:
        """Token ids of rendered text; a template has put the special tokens there already."""
        return list(self.tokenizer(text, add_special_tokens=not templated)["input_ids"])

    def decode_prompt(self, ids: Sequence[int]) -> str:
        """Text of a prompt's token ids, with its special tokens."""
        return str(self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def decode(self, ids: Tensor) -> str:
        """Text of token ids, without special tokens and with its spaces as they are."""
        return str(self.tokenizer.decode(ids.tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False))
