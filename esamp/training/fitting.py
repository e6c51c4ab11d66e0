"""The fit: pairs, an architecture, and Lightning's trainer; out come a checkpoint and start weights."""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger
from torch.nn.functional import mse_loss

from esamp.distillers import Distiller
from esamp.distillers.start_file import arguments_of
from esamp.training.best import KeepBest
from esamp.training.data import PairsDataModule
from esamp.training.module import UNEXPLAINED, DistillerModule
from esamp.training.pairs import Pairs
from esamp.training.settings import FitSettings, expected_warnings

__all__ = ["LAST_CHECKPOINT", "START_WEIGHTS", "Fitted", "fit"]

START_WEIGHTS = "trunk.safetensors"
"""Where a fit's best weights are, inside its folder: what `Distiller.load` and `start=` take."""

LAST_CHECKPOINT = "checkpoints/last.ckpt"
"""Where the last finished epoch is, inside a fit's folder: what `resume` takes."""


@dataclass(frozen=True)
class Fitted:
    """What a fit gave.

    Attributes:
        start: the start weights, of the best epoch.
        checkpoint: Lightning's checkpoint of the last epoch.
        before: fraction of the variance of hᴸ on held-out text that the start leaves unexplained; 1: what the best
            constant would.
        after: the same with the best epoch's weights.
        epoch: the best epoch, counted from 1.
        epochs: epochs that were trained.
    """

    start: Path
    checkpoint: Path
    before: float
    after: float
    epoch: int
    epochs: int


def fit(
    distiller: Distiller,
    pairs: Pairs,
    positions: int,
    settings: FitSettings,
    *,
    model: str,
    logger: Logger | None = None,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Train a distiller's start weights on recorded pairs.

    Args:
        distiller: the architecture and its start; if that is the LLM's, it has been bound.
        pairs: a recording.
        positions: pairs of one of its windows.
        settings: how to train, and where to.
        model: name of the model that was recorded, for the metadata.
        logger: any of Lightning's; None: a CSV file under `settings.out`.
        callbacks: more of Lightning's callbacks.

    Raises:
        KeyboardInterrupt: Ctrl-C; the last finished epoch's checkpoint and the best weights so far stay.
        TypeError: the distiller is not trained by gradients.
        ValueError: the distiller's sizes or start do not fit the pairs, the checkpoint is of other settings, or the
            training diverges.
    """
    data = PairsDataModule(
        pairs, positions, batch_size=settings.batch_size, validation=settings.validation, seed=settings.seed
    )
    module = DistillerModule(
        distiller, pairs.hidden_size, data.variance(), lr=settings.lr, settings=_kept(distiller, pairs, settings)
    )
    before = _unexplained(module, data)
    best = KeepBest(settings.out / START_WEIGHTS, pairs.hidden_size, model)
    with expected_warnings():
        trainer = Trainer(
            **settings.trainer,
            logger=CSVLogger(settings.out, name="log") if logger is None else logger,
            callbacks=[best, *_habits(settings), *callbacks],
            enable_model_summary=False,
            enable_progress_bar=False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
        )
        _train(trainer, module, data, settings.resume)
    if math.isinf(best.lowest):
        raise ValueError(_why_nothing(trainer, settings))
    return Fitted(best.path, settings.out / LAST_CHECKPOINT, before, best.lowest, best.epoch, trainer.current_epoch)


def _why_nothing(trainer: Trainer, settings: FitSettings) -> str:
    if UNEXPLAINED in trainer.callback_metrics:
        return f"lr must be low enough that training does not diverge, got {settings.lr:g}; try a tenth of it"
    return (
        f"trainer.max_epochs must be above the {trainer.current_epoch} epochs of the checkpoint, got "
        f"{trainer.max_epochs}: there was nothing to train"
    )


def _habits(settings: FitSettings) -> list[Callback]:
    """Early stopping, and the checkpoints of the best and of the last epoch."""
    return [
        EarlyStopping(UNEXPLAINED, patience=settings.patience),
        ModelCheckpoint(
            settings.out / Path(LAST_CHECKPOINT).parent,
            "best",
            monitor=UNEXPLAINED,
            save_last=True,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
    ]


def _kept(distiller: Distiller, pairs: Pairs, settings: FitSettings) -> dict[str, Any]:
    """What a resumed run must have in common with the one that it goes on from."""
    return {
        "distiller": type(distiller).__qualname__,
        "arguments": arguments_of(distiller),
        "recording": pairs.folder.name,
        "lr": settings.lr,
        "batch_size": settings.batch_size,
        "validation": settings.validation,
        "seed": settings.seed,
    }


@torch.no_grad()
def _unexplained(module: DistillerModule, data: PairsDataModule) -> float:
    """Fraction of the held-out variance that the module as it stands leaves unexplained."""
    total = sum(float(mse_loss(module(shallow), deep)) * len(deep) for shallow, deep in data.val_dataloader())
    return total / len(data.held_out) / module.variance


def _train(trainer: Trainer, module: DistillerModule, data: PairsDataModule, resume: Path | None) -> None:
    """`trainer.fit`, with Ctrl-C as Python has it: Lightning exits, and leaves the signal ignored."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    except SystemExit as stopped:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        # Which signal it was stands in the exception that Lightning turned into an exit.
        context = stopped.__context__
        raise (context if isinstance(context, KeyboardInterrupt) else KeyboardInterrupt()) from stopped
