"""Optimisers that step a whole bank of distillers at once."""

from esamp.distillers.optimizers.adafactor import Adafactor
from esamp.distillers.optimizers.adam import Adam
from esamp.distillers.optimizers.base import GroupedOptimizer
from esamp.distillers.optimizers.sgd import SGD

__all__ = ["SGD", "Adafactor", "Adam", "GroupedOptimizer"]
