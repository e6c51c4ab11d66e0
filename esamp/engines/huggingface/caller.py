"""What `model.generate` keeps from a callable `custom_generate`, read where it lies.

transformers hands such a callable neither the streamer nor the assistant model, although it accepts both beside it and
shows the streamer the prompt: they would be ignored without a word. The frame of `generate`, which waits for the
callable, has them.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from transformers import GenerationMixin

__all__ = ["argument_of_generate"]

_GENERATE = inspect.unwrap(vars(GenerationMixin)["generate"]).__code__


def argument_of_generate(name: str) -> Any:
    """An argument of the innermost `model.generate` that is running in this thread; None where none is."""
    frame = sys._getframe()  # pyright: ignore[reportPrivateUsage]  (the documented way; inspect's reads the sources too)
    while frame is not None:
        if frame.f_code is _GENERATE:
            return frame.f_locals.get(name)
        frame = frame.f_back
    return None
