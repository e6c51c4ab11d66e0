"""How likely the model finds a sample: weights of a vote, and a reward that needs no other model."""

from __future__ import annotations

import math

from esamp.result import Sample

__all__ = ["log_likelihood", "mean_log_likelihood"]


def log_likelihood(sample: Sample) -> float:
    """Σ log p of its tokens under the LLM alone, nats: short samples have more. 0 for a sample without a token."""
    return math.fsum(sample.reference_log_probs.tolist())


def mean_log_likelihood(sample: Sample) -> float:
    """The same a token, so that length does not count."""
    return log_likelihood(sample) / max(1, len(sample.reference_log_probs))
