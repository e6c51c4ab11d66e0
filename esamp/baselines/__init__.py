"""The peers that a user would pick instead of ESamp, behind the interface of `ESampSampler`.

Examples:
    All of them draw, or search for, n texts of a prompt in the same way:

    >>> from esamp.baselines import *
    >>> from esamp.testing.models import tiny_model, tiny_tokenizer
    >>> model, tokenizer = tiny_model(), tiny_tokenizer()
    >>> for sampler in (
    ...     PlainSampler(model, tokenizer),
    ...     OverrideSampler(model, tokenizer, strength=0.5),
    ...     ContrastiveSampler(model, tokenizer, amateur=tiny_model(seed=1)),
    ...     BeamSampler(model, tokenizer),
    ...     DiverseBeamSampler(model, tokenizer, groups=2),
    ...     StochasticBeamSampler(model, tokenizer),
    ...     ESampSampler(model, tokenizer),
    ... ):
    ...     texts = sampler.generate("Hello", n=4, max_new_tokens=6).texts[0]
    ...     print(f"{type(sampler).__name__:<21} {len(set(texts))} of {len(texts)} differ")
    PlainSampler          4 of 4 differ
    OverrideSampler       4 of 4 differ
    ContrastiveSampler    4 of 4 differ
    BeamSampler           4 of 4 differ
    DiverseBeamSampler    4 of 4 differ
    StochasticBeamSampler 4 of 4 differ
    ESampSampler          4 of 4 differ
"""

from esamp.baselines.beams import BeamSampler, DiverseBeamSampler, StochasticBeamSampler
from esamp.baselines.contrastive import ContrastiveSampler
from esamp.baselines.override import OverrideSampler
from esamp.baselines.plain import PlainSampler
from esamp.sampler import ESampSampler
from esamp.samplers import Sampler, samplers

__all__ = [
    "BeamSampler",
    "ContrastiveSampler",
    "DiverseBeamSampler",
    "ESampSampler",
    "OverrideSampler",
    "PlainSampler",
    "Sampler",
    "StochasticBeamSampler",
    "samplers",
]
