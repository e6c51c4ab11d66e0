"""Gumbel noise inside kernels. Importing this module imports Triton."""

# Triton's functions are written in Python's syntax and typed by its own compiler.
# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["gumbel"]


@triton.jit
def gumbel(ids, sample, step, seed):
    """Standard Gumbel noise of token ids, from the Philox words of `esamp.noise`."""
    blocks = (ids >> 2).to(tl.uint32)
    zero = tl.zeros_like(blocks)
    w0, w1, w2, w3 = tl.philox(seed, blocks, zero + step.to(tl.uint32), zero + sample.to(tl.uint32), zero)
    lane = ids & 3
    word = tl.where(lane == 0, w0, tl.where(lane == 1, w1, tl.where(lane == 2, w2, w3)))
    uniform = tl.minimum((word.to(tl.float32) + 0.5) * 2.3283064365386963e-10, 1.0 - 5.9604644775390625e-08)
    # -log(1 - u); where u is small the noise is large, and a device's fast logarithm near 1 would spoil it.
    series = uniform * (1.0 + uniform * (0.5 + uniform * (1.0 / 3.0 + uniform * (0.25 + uniform * 0.2))))
    return -tl.log(tl.where(uniform < 0.03125, series, -tl.log(1.0 - uniform)))
