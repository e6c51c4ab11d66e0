"""The best weights so far, on disk at any time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

import esamp
from esamp.distillers.start_file import write_start
from esamp.training.module import UNEXPLAINED, DistillerModule

__all__ = ["KeepBest"]


@final
class KeepBest(Callback):
    """Writes start weights whenever the error on held-out text is lower than ever before.

    Args:
        path: the safetensors file.
        hidden_size: width d.
        model: its name, for the metadata.

    Attributes:
        lowest: fraction of variance unexplained of the weights in the file; infinite before there are any.
        epoch: when they were trained, counted from 1.
    """

    def __init__(self, path: Path, hidden_size: int, model: str) -> None:
        self.path: Path = path
        self.hidden_size: int = hidden_size
        self.model: str = model
        self.lowest: float = math.inf
        self.epoch: int = 0

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not isinstance(pl_module, DistillerModule):
            return
        share = float(trainer.callback_metrics[UNEXPLAINED])
        if share < self.lowest:
            self.lowest, self.epoch = share, trainer.current_epoch + 1
            if trainer.is_global_zero:
                weights = dict(pl_module.weights.items())
                write_start(
                    self.path,
                    pl_module.architecture,
                    weights,
                    self.hidden_size,
                    model=self.model,
                    release=esamp.__version__,
                )

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"lowest": self.lowest, "epoch": self.epoch}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # A run that resumes in another folder has no file there yet.
        if self.path.is_file():
            self.lowest, self.epoch = state_dict["lowest"], state_dict["epoch"]
