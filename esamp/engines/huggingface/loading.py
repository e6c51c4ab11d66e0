"""Models by name: the embedded one, a local folder, or a hub id."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from esamp.engines.huggingface.embedded import EMBEDDED_NAME, embedded_model

__all__ = ["load"]


def load(
    name: str | Path, dtype: torch.dtype | str = "auto", device: torch.device | str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model (in evaluation mode) and tokenizer.

    Args:
        name: "smollm2-135m", a folder in transformers' format, or a hub id.
        dtype: of the weights; "auto" is the checkpoint's own.
        device: None: a GPU where there is one.

    Raises:
        ModuleNotFoundError: the embedded model's package is not installed.
        ValueError: nothing can be loaded by that name.
    """
    source = embedded_model() if str(name) == EMBEDDED_NAME else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"model must be {EMBEDDED_NAME!r}, a folder in transformers' format or a hub id that can be reached, "
            f"got {str(name)!r}: {reason}"
        ) from error
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    # `to` is decorated in transformers in a way that type checkers cannot follow.
    model.to(device)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return model.eval(), tokenizer
