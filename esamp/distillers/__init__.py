"""Distillers: online-trained predictors of the last hidden state from the first layer's."""

from esamp.distillers.base import Distiller, distillers
from esamp.distillers.gradient import GradientDistiller
from esamp.distillers.mlp import MLPDistiller

__all__ = ["Distiller", "GradientDistiller", "MLPDistiller", "distillers"]
