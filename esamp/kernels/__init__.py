"""Triton kernels of one decode step. Each lives beside the plain PyTorch that says what it must compute.

`ESAMP_KERNELS=reference|triton` overrides the choice, which is Triton on a GPU and the reference elsewhere. Importing
this package does not import Triton.
"""

from esamp.kernels.dispatch import uses_triton

__all__ = ["uses_triton"]
