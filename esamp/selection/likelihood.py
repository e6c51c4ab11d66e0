"""How likely the model finds a sample: weights of a vote, and a reward that needs no other model."""

from __future__ import annotations

import math

from esamp.result import Sample

__all__ = ["log_likelihood", "mean_log_likelihood"]


def log_likelihood(sample: Sample) -> float:
    """Σ log p of its tokens under the LLM alone, nats: short samples have more. 0 for a sample without a token.

    Examples:
        >>> import torch
        >>> from dataclasses import replace
        >>> from esamp import ESampSampler
        >>> from esamp.testing.models import tiny_model, tiny_tokenizer
        >>> result = ESampSampler(tiny_model(), tiny_tokenizer()).generate("Hello", n=1, max_new_tokens=2)
        >>> sample = replace(result.samples[0][0], reference_log_probs=torch.tensor([-1.0, -2.0]))
        >>> log_likelihood(sample), mean_log_likelihood(sample)
        (-3.0, -1.5)
    """
    return math.fsum(sample.reference_log_probs.tolist())


def mean_log_likelihood(sample: Sample) -> float:
    """The same a token, so that length does not count."""
    return log_likelihood(sample) / max(1, len(sample.reference_log_probs))
