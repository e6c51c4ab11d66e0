"""Distillers: online-trained predictors of the last hidden state from the first layer's.

Examples:
    How much of hᴸ each leaves unexplained, at first and after 20 steps on the same eight rows of one group:

    >>> from esamp.distillers import *
    >>> import torch
    >>> shallow, deep = torch.randn(2, 1, 8, 16, generator=torch.Generator().manual_seed(0))
    >>> alive = torch.ones(1, 8)
    >>> def course(distiller: Distiller) -> str:
    ...     distiller.setup(hidden_size=16, groups=1)
    ...     losses = [float(distiller.learn(shallow, deep, alive)) for _ in range(20)]
    ...     return f"{type(distiller).__name__} {losses[0]:.1f} {losses[-1]:.1f}"
    >>> for distiller in (
    ...     RecursiveLeastSquaresDistiller(),
    ...     MLPDistiller(width=16, lr=0.01),
    ...     LowRankDistiller(rank=8, lr=0.01),
    ...     LinearDistiller(lr=0.1),
    ...     HierarchicalDistiller(trunk=LinearDistiller(lr=0.1), leaf=LowRankDistiller(rank=2, lr=0.01)),
    ...     FrozenDistiller(LinearDistiller()),
    ... ):
    ...     print(course(distiller))
    RecursiveLeastSquaresDistiller 0.7 0.0
    MLPDistiller 2.2 0.1
    LowRankDistiller 1.5 0.5
    LinearDistiller 0.7 0.0
    HierarchicalDistiller 1.5 0.6
    FrozenDistiller 0.7 0.7

    Some read the LLM's frozen weights, which a sampler shows them:

    >>> from esamp.head import Head
    >>> from esamp.llm import FrozenLLM
    >>> llm = FrozenLLM(Head(torch.eye(16)), final_norm=lambda: torch.tanh)
    >>> for distiller in (VocabularyDistiller(LinearDistiller(lr=0.1)), EarlyExitDistiller()):
    ...     distiller.bind(llm)
    ...     print(course(distiller))
    VocabularyDistiller 0.3 0.0
    EarlyExitDistiller 1.0 1.0

    Noise has the length of the error of the distiller around which it is put, and points anywhere:

    >>> noise = NoiseDistiller(FrozenDistiller(LinearDistiller()))
    >>> noise.setup(hidden_size=16, groups=1)
    >>> predicted = noise(shallow)
    >>> noisy = noise.revise(predicted, deep)
    >>> torch.allclose((deep - noisy).norm(dim=-1), (deep - predicted).norm(dim=-1))
    True
    >>> distillers.build("low_rank").rank
    64
"""

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
