"""The entry point of `vllm.general_plugins`: every vLLM process calls it, and all it does is to name a load format."""

from __future__ import annotations

__all__ = ["LOAD_FORMAT", "register"]

LOAD_FORMAT = "esamp"

_registered: list[str] = []


def register() -> None:
    """Register the load format "esamp"; vLLM may call this more than once in a process."""
    if _registered:
        return
    from vllm.model_executor.model_loader import register_model_loader

    from esamp.engines.vllm.loader import ESampModelLoader

    register_model_loader(LOAD_FORMAT)(ESampModelLoader)
    _registered.append(LOAD_FORMAT)
