"""The entry point of `vllm.general_plugins`: every vLLM process calls it, and all it does is to name a load format.

Beside it the names by which vLLM is told of ESamp's other pieces.
"""

from __future__ import annotations

__all__ = [
    "CAPACITY",
    "LOAD_FORMAT",
    "MIDDLEWARE",
    "PRIVATE_PROCESSOR",
    "PROCESSOR",
    "REFUSES",
    "REPLICAS",
    "SERVED_PROCESSOR",
    "WORKER",
    "register",
]

LOAD_FORMAT = "esamp"
PROCESSOR = "esamp.engines.vllm.processor:ESampLogitsProcessor"
SERVED_PROCESSOR = "esamp.engines.vllm.processor:ServedProcessor"
PRIVATE_PROCESSOR = "esamp.engines.vllm.processor:PrivateProcessor"
WORKER = "esamp.engines.vllm.worker.ESampWorker"
MIDDLEWARE = "esamp.engines.vllm.admission.Admission"
CAPACITY = "ESAMP_GROUPS"
"""Variable that tells the middleware, which vLLM makes without arguments, how many groups an engine has room for."""
REPLICAS = "ESAMP_REPLICAS"
"""Likewise how many engines there are."""
REFUSES = "ESAMP_REFUSES"
"""Likewise whether who finds no room is refused: 1, or anything else."""

_registered: list[str] = []


def register() -> None:
    """Register the load format "esamp"; vLLM may call this more than once in a process."""
    if _registered:
        return
    from vllm.model_executor.model_loader import register_model_loader

    from esamp.engines.vllm.loader import ESampModelLoader

    register_model_loader(LOAD_FORMAT)(ESampModelLoader)
    _registered.append(LOAD_FORMAT)
