"""ESamp inside vLLM: a load format, a logits processor and `LLM`, all through vLLM's own extension points.

Nothing here imports vLLM until it is used: `esamp.engines.vllm.LLM` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esamp.engines.vllm.llm import LLM

__all__ = ["LLM"]


def __getattr__(name: str) -> Any:
    if name == "LLM":
        from esamp.engines.vllm.llm import LLM

        return LLM
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
