"""Distillers: online-trained predictors of the last hidden state from the first layer's."""

from esamp.distillers.base import Distiller, distillers
from esamp.distillers.choice_memory import ChoiceMemoryDistiller
from esamp.distillers.early_exit import EarlyExitDistiller
from esamp.distillers.frozen import FrozenDistiller
from esamp.distillers.gradient import GradientDistiller
from esamp.distillers.hierarchical import HierarchicalDistiller
from esamp.distillers.linear import LinearDistiller
from esamp.distillers.low_rank import LowRankDistiller
from esamp.distillers.mlp import MLPDistiller
from esamp.distillers.noise import NoiseDistiller
from esamp.distillers.recursive_least_squares import RecursiveLeastSquaresDistiller
from esamp.distillers.vocabulary import VocabularyDistiller
from esamp.distillers.wrapper import DistillerWrapper

__all__ = [
    "ChoiceMemoryDistiller",
    "Distiller",
    "DistillerWrapper",
    "EarlyExitDistiller",
    "FrozenDistiller",
    "GradientDistiller",
    "HierarchicalDistiller",
    "LinearDistiller",
    "LowRankDistiller",
    "MLPDistiller",
    "NoiseDistiller",
    "RecursiveLeastSquaresDistiller",
    "VocabularyDistiller",
    "distillers",
]
