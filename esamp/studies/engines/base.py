"""What runs the model of a study."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from esamp.registry import Registry
from esamp.samplers import Sampler
from esamp.studies.arm import Arm
from esamp.studies.study import Study, Unit

__all__ = ["StudyEngine", "engines"]


class StudyEngine(ABC):
    """The model of a study, loaded on one device.

    Args:
        study: whose model it is.
        device: where to.

    Attributes:
        spreads: the units of a study may be shared out among several processes, each with this engine.
    """

    spreads: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, study: Study, device: torch.device) -> None: ...

    @classmethod
    @abstractmethod
    def check(cls, study: Study) -> None:
        """Look at a study before any model is loaded.

        Raises:
            ValueError: an arm or an option is one that this engine does not have.
        """

    @abstractmethod
    def prepare(self, units: Sequence[Unit]) -> list[Unit]:
        """Units in the order in which they are best run, after a look at whether their arms fit the model.

        Raises:
            TypeError: a setting of an arm is of the wrong type.
            ValueError: a setting of an arm is wrong, or does not fit the model.
        """

    @abstractmethod
    def sampler(self, arm: Arm) -> Sampler:
        """What draws an arm's samples, until the next call."""

    @property
    @abstractmethod
    def has_chat_template(self) -> bool:
        """Prompts can go through a chat template."""

    @property
    @abstractmethod
    def dtype(self) -> str:
        """Of the weights, such as "float32"."""

    @abstractmethod
    def hash(self) -> str:
        """SHA-256 of the weights: two runs with equal hashes ran the same model."""


engines: Registry[StudyEngine] = Registry("engine", StudyEngine)
"""Registry of the engines."""
