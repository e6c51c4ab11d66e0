"""Novelty fusions: how the distiller's logits tilt the LLM's."""

from esamp.fusion.base import FusionStep, LatentWeights, NoveltyFusion, fusions
from esamp.fusion.beta_mix import BetaMix
from esamp.fusion.direction_only import DirectionOnly
from esamp.fusion.entropy_matched import EntropyMatched
from esamp.fusion.kl_budget import KLBudget
from esamp.fusion.norm_only import NormOnly
from esamp.fusion.p1_weighted import P1Weighted
from esamp.fusion.reward_mix import RewardMix
from esamp.fusion.subtraction import Subtraction

__all__ = [
    "BetaMix",
    "DirectionOnly",
    "EntropyMatched",
    "FusionStep",
    "KLBudget",
    "LatentWeights",
    "NormOnly",
    "NoveltyFusion",
    "P1Weighted",
    "RewardMix",
    "Subtraction",
    "fusions",
]
