"""PEFT adapters: what is sampled from is the transformers model inside the wrapper, whose layers carry the adapter."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["without_wrapper"]


def without_wrapper(model: Any) -> Any:
    """The transformers model inside a `PeftModel`; any other model as it is.

    Raises:
        ValueError: the adapter is not in the layers: it puts virtual tokens before the prompt.
    """
    # Whoever has a PeftModel has imported peft; nobody else needs it.
    peft: Any = sys.modules.get("peft")
    if peft is None or not isinstance(model, peft.PeftModel):
        return model
    if model.active_peft_config.is_prompt_learning:
        raise ValueError(
            f"model must carry its adapter in its layers, as LoRA does, and {model.active_peft_config.peft_type.value} "
            "puts virtual tokens before the prompt, which ESamp does not; use another adapter or the bare model"
        )
    return model.get_base_model()
