"""The peers that a user would pick instead of ESamp, behind the interface of `ESampSampler`."""

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
