"""Optimisers that step a whole bank of distillers at once.

Examples:
    A step of two groups, of which the second rests:

    >>> from esamp.distillers.optimizers import *
    >>> import torch
    >>> for optimizer in (Adam(lr=0.1), SGD(lr=0.1), Adafactor(lr=0.1)):
    ...     assert isinstance(optimizer, GroupedOptimizer)
    ...     weight = torch.ones(2, 3)
    ...     optimizer.setup([weight])
    ...     optimizer.step([weight], [torch.full((2, 3), 2.0)], active=torch.tensor([True, False]))
    ...     print(f"{type(optimizer).__name__:<9}", [round(value, 2) for value in weight[:, 0].tolist()])
    Adam      [0.9, 1.0]
    SGD       [0.8, 1.0]
    Adafactor [0.9, 1.0]
"""

from esamp.distillers.optimizers.adafactor import Adafactor
from esamp.distillers.optimizers.adam import Adam
from esamp.distillers.optimizers.base import GroupedOptimizer
from esamp.distillers.optimizers.sgd import SGD

__all__ = ["SGD", "Adafactor", "Adam", "GroupedOptimizer"]
