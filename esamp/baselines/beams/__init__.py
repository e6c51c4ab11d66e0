"""Searches over whole sequences: n beams give n different texts."""

from esamp.baselines.beams.base import Beams, Choice, SequenceSearch
from esamp.baselines.beams.beam import BeamSampler
from esamp.baselines.beams.diverse import DiverseBeamSampler
from esamp.baselines.beams.stochastic import StochasticBeamSampler

__all__ = ["BeamSampler", "Beams", "Choice", "DiverseBeamSampler", "SequenceSearch", "StochasticBeamSampler"]
