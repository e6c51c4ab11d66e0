"""What every way of sampling promises, and ESamp's doors beside `ESampSampler` itself: `model.generate` and vLLM."""

from __future__ import annotations

from esamp.samplers.base import Sampler, samplers

__all__ = ["Sampler", "samplers"]
