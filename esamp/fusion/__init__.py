"""Novelty fusions: how the distiller's logits tilt the LLM's."""

from esamp.fusion.base import LatentWeights, NoveltyFusion, fusions
from esamp.fusion.beta_mix import BetaMix

__all__ = ["BetaMix", "LatentWeights", "NoveltyFusion", "fusions"]
