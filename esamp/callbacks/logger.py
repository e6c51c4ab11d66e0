"""Diagnostics to a Lightning logger."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from esamp.callbacks.base import Callback, GenerateStart, StepRecord
from esamp.checks import check_integer

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from esamp.result import GenerationResult

__all__ = ["LoggerCallback"]


@final
class LoggerCallback(Callback):
    """Logs loss, ‖e‖, KL and candidate count of every step, averaged over rows, to a Lightning logger.

    Args:
        logger: a logger of `lightning.pytorch.loggers` (CSV, TensorBoard, W&B, MLflow, ...).
        every: log each `every`-th step.

    Raises:
        TypeError: `every` is not an integer.
        ValueError: `every` is below 1.
    """

    def __init__(self, logger: Logger, every: int = 1) -> None:
        self.logger = logger
        self.every: int = check_integer("every", every, low=1)
        self._step = 0

    @override
    def on_generate_start(self, start: GenerateStart) -> None:
        self.logger.log_hyperparams(start.settings)

    @override
    def on_step(self, record: StepRecord) -> None:
        if self._step % self.every == 0:
            values = {
                "loss": record.loss,
                "error_norm": record.fused.error_norm,
                "kl": record.fused.kl,
                "candidates": record.fused.candidates.count().float(),
            }
            means = {f"esamp/{name}": torch.nanmean(value).item() for name, value in values.items()}
            self.logger.log_metrics({name: mean for name, mean in means.items() if mean == mean}, step=self._step)
        self._step += 1

    @override
    def on_generate_end(self, result: GenerationResult) -> None:
        self.logger.save()
