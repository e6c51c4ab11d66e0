"""Optimisers that step a whole bank of distillers at once."""

from esamp.distillers.optimizers.adam import Adam
from esamp.distillers.optimizers.base import GroupedOptimizer

__all__ = ["Adam", "GroupedOptimizer"]
