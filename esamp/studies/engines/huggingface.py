"""A study with transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from typing_extensions import override

from esamp.engines.huggingface.hashing import hash_model
from esamp.engines.huggingface.loading import load
from esamp.samplers import Sampler
from esamp.studies.arm import Arm
from esamp.studies.engines.base import StudyEngine, engines
from esamp.studies.study import Study, Unit

__all__ = ["HuggingFaceStudyEngine"]


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

    @classmethod
    @override
    def check(cls, study: Study) -> None:
        if study.engine_options:
            raise ValueError(
                f"engine_options must be left out with engine: huggingface, got {study.engine_options}; they go to vLLM"
            )

    @override
    def prepare(self, units: Sequence[Unit]) -> list[Unit]:
        for arm in {unit.arm.name: unit.arm for unit in units}.values():
            self.sampler(arm)
        return list(units)

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
