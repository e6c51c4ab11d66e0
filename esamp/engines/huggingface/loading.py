"""Models by name: the embedded one, a local folder, or a hub id."""

from __future__ import annotations

import reprlib
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from esamp.engines.huggingface.embedded import EMBEDDED_NAME, embedded_model

__all__ = ["load"]


def load(
    name: str | Path, dtype: torch.dtype | str = "auto", device: torch.device | str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model (in evaluation mode) and tokenizer.

    Args:
        name: "smollm2-135m", a folder in transformers' or PEFT's format, or a hub id.
        dtype: of the weights; "auto" is the checkpoint's own.
        device: None: a GPU where there is one.

    Raises:
        ModuleNotFoundError: the embedded model's package is not installed.
        TypeError: `name` is not a name.
        ValueError: nothing can be loaded by that name, or the dtype or the device is not known here.
    """
    if not isinstance(name, str | Path):
        raise TypeError(
            f"model must be a name or a path, got {reprlib.repr(name)}; one that is loaded goes to ESampSampler(...)"
        )
    _check_dtype(dtype)
    device = _check_device(device)
    source = embedded_model() if str(name) == EMBEDDED_NAME else name
    try:
        if not Path(source, "adapter_config.json").is_file():  # a folder of an adapter names its model there
            AutoConfig.from_pretrained(source)  # its errors say what is missing, the tokenizer's do not
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"model must be {EMBEDDED_NAME!r}, a folder in transformers' format or a hub id that can be reached, "
            f"got {str(name)!r}: {reason}"
        ) from error
    # `to` is decorated in transformers in a way that type checkers cannot follow.
    model.to(device)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return model.eval(), tokenizer


def _check_dtype(dtype: object) -> None:
    if dtype == "auto" or isinstance(getattr(torch, dtype, None) if isinstance(dtype, str) else dtype, torch.dtype):
        return
    raise ValueError(f"dtype must be 'auto', a torch.dtype or its name such as 'bfloat16', got {dtype!r}")


def _check_device(device: torch.device | str | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"device must be one that this machine has, such as 'cpu' or 'cuda:0', got {device!r}: {reason}"
        ) from error
