"""Novelty fusions: how the distiller's logits tilt the LLM's."""

from esamp.fusion.base import FusionStep, LatentWeights, NoveltyFusion, fusions
from esamp.fusion.beta_mix import BetaMix
from esamp.fusion.choice_novelty import ChoiceNovelty
from esamp.fusion.direction_only import DirectionOnly
from esamp.fusion.entropy_matched import EntropyMatched
from esamp.fusion.kl_budget import KLBudget
from esamp.fusion.norm_only import NormOnly
from esamp.fusion.p1_weighted import P1Weighted
from esamp.fusion.reward_mix import RewardMix
from esamp.fusion.segment_novelty import SegmentNovelty
from esamp.fusion.subtraction import Subtraction
from esamp.fusion.wrapper import FusionWrapper

__all__ = [
    "BetaMix",
    "ChoiceNovelty",
    "DirectionOnly",
    "EntropyMatched",
    "FusionStep",
    "FusionWrapper",
    "KLBudget",
    "LatentWeights",
    "NormOnly",
    "NoveltyFusion",
    "P1Weighted",
    "RewardMix",
    "SegmentNovelty",
    "Subtraction",
    "fusions",
]
