"""Telling that memory ran out from other errors: PyTorch has a class for it on a GPU, and words on a CPU."""

from __future__ import annotations

import torch

__all__ = ["ran_out"]

# How the CPU's allocator, cuBLAS and cuSOLVER say it, none of which has an error of its own.
_SAID = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


def ran_out(error: BaseException) -> bool:
    """An operation failed for lack of memory, on whichever device, and for no other reason.

    >>> ran_out(torch.OutOfMemoryError("CUDA out of memory")), ran_out(MemoryError()), ran_out(RuntimeError("shapes"))
    (True, True, False)
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID)
