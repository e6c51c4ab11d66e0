"""Models whose weights are split over processes, which cannot be sampled from here."""

from __future__ import annotations

from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.integrations.fsdp import is_fsdp_managed_module

__all__ = ["check_sharding"]


def check_sharding(model: PreTrainedModel) -> None:
    """Check that this process has all weights of the model; it may have them on several devices.

    Raises:
        ValueError: they are split by tensor parallelism, FSDP or DeepSpeed ZeRO-3.
    """
    if any(isinstance(parameter, DTensor) for parameter in model.parameters()):
        found = f"tensor parallelism or FSDP (tp_size = {model.tp_size})"
    elif is_fsdp_managed_module(model):
        found = "FSDP"
    elif is_deepspeed_zero3_enabled():
        found = "DeepSpeed ZeRO-3"
    else:
        return
    raise ValueError(
        f"model must be whole in each process, and that of {type(model).__name__} is split by {found}: samples end at "
        "different steps in different processes, and the head's rows are looked up one by one; load it with "
        "device_map='auto', or one copy a process"
    )
