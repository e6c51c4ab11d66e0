"""Which of the two implementations runs."""

from __future__ import annotations

import importlib.util
import os
from functools import cache

from torch import Tensor

from esamp.checks import check_choice

__all__ = ["ENVIRONMENT", "uses_triton"]

ENVIRONMENT = "ESAMP_KERNELS"


def uses_triton(tensor: Tensor) -> bool:
    """Whether the kernels that work on `tensor` are Triton's: on CUDA and HIP devices, if Triton is installed.

    The environment variable ESAMP_KERNELS, "reference" or "triton", decides instead where it is set.

    Raises:
        ValueError: ESAMP_KERNELS is something else.
        RuntimeError: it asks for Triton where Triton cannot run.
    """
    chosen = os.environ.get(ENVIRONMENT)
    if not chosen:
        # PyTorch calls AMD's devices "cuda" too.
        return tensor.device.type == "cuda" and _installed()
    if check_choice(ENVIRONMENT, chosen, ("reference", "triton")) == "reference":
        return False
    if not _installed():
        raise RuntimeError(
            f"{ENVIRONMENT}=triton needs Triton, which is not installed; pip install triton, or unset it"
        )
    if tensor.device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise RuntimeError(
            f"{ENVIRONMENT}=triton needs a GPU, got a tensor on the CPU; unset it, or set TRITON_INTERPRET=1 before "
            "Python starts to run the kernels in Triton's (slow) interpreter"
        )
    return True


@cache
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None
