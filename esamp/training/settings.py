"""The settings of a fit, checked before anything is read or trained."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer

from esamp.checks import check_integer, check_number

__all__ = ["FitSettings", "expected_warnings"]


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        out: folder for checkpoints, logs and the start weights; it is made.
        lr: Adam's learning rate.
        batch_size: pairs of one step.
        validation: share of the text that is held out, in (0, 1).
        patience: stop after so many epochs without a lower error on the held-out text.
        seed: of the order of the pairs.
        resume: a checkpoint of an earlier run, to go on from.
        trainer: arguments of Lightning's `Trainer`, under its own names.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, `resume` is no checkpoint, Lightning refuses a trainer's argument, or
            `out` cannot be written to.
    """

    out: Path
    lr: float = 1e-3
    batch_size: int = 256
    validation: float = 0.1
    patience: int = 5
    seed: int = 0
    resume: Path | None = None
    trainer: Mapping[str, Any] = field(default_factory=lambda: {"max_epochs": 50})

    def __post_init__(self) -> None:
        check_number("lr", self.lr, low=0, low_open=True)
        check_integer("batch_size", self.batch_size, low=1)
        check_number("validation", self.validation, low=0, high=1, low_open=True, high_open=True)
        check_integer("patience", self.patience, low=1)
        check_integer("seed", self.seed, low=0)
        if self.resume is not None:
            _check_checkpoint(self.resume)
        _check_folder(self.out)
        hint = "trainer.max_time ends a training by the clock"
        check_integer("trainer.max_epochs", self.trainer.get("max_epochs", 1), low=1, hint=hint)
        _check_trainer(self.trainer)


@contextmanager
def expected_warnings() -> Generator[None]:
    """Silence for what Lightning says of every fit here, and would be right to say of others."""
    expected = (
        ".*does not have many workers.*",  # the pairs are memory-mapped: workers would only copy them
        ".*Checkpoint directory .* exists and is not empty.*",  # a second fit into one folder replaces the first
        ".*The dirpath has changed from.*",  # a run that goes on in another folder keeps its best there
        ".*Consider setting `persistent_workers=True`.*",
        ".*GPU available but not used.*",  # somebody asked for the CPU
        ".*treespec, LeafSpec.*",  # Lightning's own use of what torch has deprecated
    )
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        # Which accelerators there are, and whether to try a course: neither is news to who reads our own lines.
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for message in expected:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check_checkpoint(path: Path) -> None:
    wanted = "resume must be a checkpoint that `esamp fit` left, such as checkpoints/last.ckpt"
    if not path.is_file():
        raise ValueError(f"{wanted}, and {str(path)!r} is {'a folder' if path.is_dir() else 'not there'}")
    try:
        # Tensors and plain values only: nothing in the file can run.
        saved: Any = torch.load(path, map_location="cpu", weights_only=True)
        known = "optimizer_states" in saved and "distiller" in saved["hyper_parameters"]
    except Exception as error:
        raise ValueError(f"{wanted}, and {str(path)!r} cannot be read: {str(error).splitlines()[0]}") from error
    if not known:
        raise ValueError(f"{wanted}, and {str(path)!r} is one of something else")


def _check_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out must be a folder that can be made, got {str(out)!r}: {error}") from error
    if not os.access(out, os.W_OK):
        raise ValueError(f"out must be a folder that can be written to, got {str(out)!r}; choose another place")


def _check_trainer(arguments: Mapping[str, Any]) -> None:
    try:
        with expected_warnings():
            Trainer(**arguments, logger=False, enable_checkpointing=False)
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise ValueError(f"trainer must have arguments that Lightning takes, and it says: {error}") from error
