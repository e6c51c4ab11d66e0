"""What runs the model of a study."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from typing_extensions import override

from esamp.engines.huggingface.hashing import hash_model
from esamp.engines.huggingface.loading import load
from esamp.registry import Registry
from esamp.samplers import Sampler
from esamp.studies.arm import Arm
from esamp.studies.study import Study

__all__ = ["HuggingFaceStudyEngine", "StudyEngine", "engines"]


class StudyEngine(ABC):
    """The model of a study, loaded on one device.

    Args:
        study: whose model it is.
        device: where to.
    """

    @abstractmethod
    def __init__(self, study: Study, device: torch.device) -> None: ...

    @abstractmethod
    def sampler(self, arm: Arm) -> Sampler:
        """What draws an arm's samples.

        Raises:
            TypeError: a setting of the arm is of the wrong type.
            ValueError: a setting of the arm is wrong, or does not fit the model.
        """

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


@final
@engines.register("huggingface")
class HuggingFaceStudyEngine(StudyEngine):
    """A model of transformers in this process.

    Args:
        study: whose model it is.
        device: where to.

    Raises:
        ModuleNotFoundError: the embedded model's package is not installed.
        ValueError: nothing can be loaded by the model's name.
    """

    def __init__(self, study: Study, device: torch.device) -> None:
        self._name = study.model
        self._model, self._tokenizer = load(study.model, study.dtype, device)
        self._samplers: dict[str, Sampler] = {}

    @override
    def sampler(self, arm: Arm) -> Sampler:
        if arm.name not in self._samplers:
            make: type = arm.sampler
            try:
                self._samplers[arm.name] = make(self._model, self._tokenizer, **arm.parts)
            except (TypeError, ValueError) as error:
                raise type(error)(f"arm {arm.name!r}: {error}") from error
        return self._samplers[arm.name]

    @property
    @override
    def has_chat_template(self) -> bool:
        return self._tokenizer.chat_template is not None

    @property
    @override
    def dtype(self) -> str:
        return str(self._model.dtype).removeprefix("torch.")

    @override
    def hash(self) -> str:
        return hash_model(self._name, self._model)
