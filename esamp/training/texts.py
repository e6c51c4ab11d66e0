"""Text files as windows of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from esamp.checks import check_integer
from esamp.engines.huggingface.engine import HuggingFaceEngine

__all__ = ["read_texts", "windows_of"]

_HELD_OUT_TOO = 2


def read_texts(paths: Sequence[str | Path]) -> list[str]:
    """The files' contents.

    Raises:
        ValueError: there is no file, or one cannot be read, is not UTF-8, or holds nothing but white space.
    """
    if not paths:
        raise ValueError("texts must name at least one text file; write one: esamp fit TEXT.txt")
    texts: list[str] = []
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"texts must be UTF-8 text files, and {str(path)!r} cannot be read: {error}") from error
        if not text.strip():
            raise ValueError(f"texts must hold text, and {str(path)!r} is empty; give a file with a few pages in it")
        texts.append(text)
    return texts


def windows_of(engine: HuggingFaceEngine, texts: Sequence[str], window: int) -> Int[Tensor, "windows window"]:
    """The texts as token ids in windows of one length; what is left at a text's end is less than that, and is dropped.

    Raises:
        ValueError: `window` is below 2 or longer than the model's context, or the texts fill fewer than two windows.
    """
    check_integer("window", window, low=2, high=engine.context_length, hint="that of the model's context at most")
    encoded = [engine.encode(text, templated=False) for text in texts]
    windows = [ids[start : start + window] for ids in encoded for start in range(0, len(ids) - window + 1, window)]
    if len(windows) < _HELD_OUT_TOO:
        raise ValueError(
            f"texts must fill at least two windows of {window} tokens, one to train on and one held out, and they hold "
            f"{sum(map(len, encoded))} tokens; give a longer text, or a smaller window"
        )
    return torch.tensor(windows)
