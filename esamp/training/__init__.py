"""Training a distiller before it samples: pairs (h¹, hᴸ) recorded from text, and a fit with Lightning.

texts → windows of tokens → pairs on disk → a LightningModule and a Trainer → a checkpoint, and start weights.
"""

from esamp.training.data import PairsDataModule
from esamp.training.fitting import Fitted, fit
from esamp.training.module import DistillerModule, check_trainable
from esamp.training.pairs import Pairs
from esamp.training.recording import record
from esamp.training.settings import FitSettings
from esamp.training.texts import read_texts, windows_of

__all__ = [
    "DistillerModule",
    "FitSettings",
    "Fitted",
    "Pairs",
    "PairsDataModule",
    "check_trainable",
    "fit",
    "read_texts",
    "record",
    "windows_of",
]
