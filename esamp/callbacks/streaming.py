"""Text as it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from transformers import PreTrainedTokenizerBase
from typing_extensions import override

from esamp.callbacks.base import Callback, GenerateStart, StepRecord

__all__ = ["TextStreamer"]

# What a decoder puts where the bytes of a character are not complete yet.
_INCOMPLETE = "�"


@final
class TextStreamer(Callback):
    """Calls a function with every new piece of every sample's text, special tokens left out.

    A piece is held back while it ends in the middle of a character. A sample that a stop string ends is streamed with
    the stop string; its `Sample.text` is without it.

    Args:
        tokenizer: the model's tokenizer.
        on_text: called with the prompt's index, the sample's index, and the piece.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, on_text: Callable[[int, int, str], object]) -> None:
        self.tokenizer = tokenizer
        self.on_text = on_text
        self._tokens: dict[tuple[int, int], list[int]] = {}
        self._sent: dict[tuple[int, int], int] = {}

    @override
    def on_generate_start(self, start: GenerateStart) -> None:
        self._tokens, self._sent = {}, {}

    @override
    def on_step(self, record: StepRecord) -> None:
        columns = (record.prompt.tolist(), record.sample.tolist(), record.drawn.tokens.tolist())
        for prompt, sample, token in zip(*columns, strict=True):
            tokens = self._tokens.setdefault((prompt, sample), [])
            tokens.append(token)
            text = str(self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))
            sent = self._sent.get((prompt, sample), 0)
            if len(text) > sent and not text.endswith(_INCOMPLETE):
                self._sent[prompt, sample] = len(text)
                self.on_text(prompt, sample, text[sent:])
