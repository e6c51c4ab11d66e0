"""Exploratory Sampling: many different good answers from a language model.

Names are loaded on first use, so that `import esamp` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esamp.callbacks import Callback, JSONLWriter, LoggerCallback, ProgressBar
    from esamp.candidates import Filters
    from esamp.distillers import Distiller, GradientDistiller, MLPDistiller
    from esamp.explorer import Explorer
    from esamp.fusion import BetaMix, NoveltyFusion
    from esamp.result import GenerationResult, Sample
    from esamp.sampler import ESampSampler
    from esamp.schedulers import OverlapScheduler, SynchronousScheduler

__version__ = "0.1.0"

_HOME = {
    "BetaMix": "esamp.fusion",
    "Callback": "esamp.callbacks",
    "Distiller": "esamp.distillers",
    "ESampSampler": "esamp.sampler",
    "Explorer": "esamp.explorer",
    "Filters": "esamp.candidates",
    "GenerationResult": "esamp.result",
    "GradientDistiller": "esamp.distillers",
    "JSONLWriter": "esamp.callbacks",
    "LoggerCallback": "esamp.callbacks",
    "MLPDistiller": "esamp.distillers",
    "NoveltyFusion": "esamp.fusion",
    "OverlapScheduler": "esamp.schedulers",
    "ProgressBar": "esamp.callbacks",
    "Sample": "esamp.result",
    "SynchronousScheduler": "esamp.schedulers",
}

__all__ = [
    "BetaMix",
    "Callback",
    "Distiller",
    "ESampSampler",
    "Explorer",
    "Filters",
    "GenerationResult",
    "GradientDistiller",
    "JSONLWriter",
    "LoggerCallback",
    "MLPDistiller",
    "NoveltyFusion",
    "OverlapScheduler",
    "ProgressBar",
    "Sample",
    "SynchronousScheduler",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'esamp' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
