"""A study with vLLM: arms whose parts are the same share an engine, and one engine lives at a time."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from typing import Any, ClassVar, final

import torch
from transformers import AutoConfig, AutoTokenizer
from typing_extensions import override

from esamp.engines.huggingface.embedded import EMBEDDED_NAME, embedded_model
from esamp.engines.huggingface.hashing import hash_files
from esamp.samplers import Sampler
from esamp.samplers.on_vllm import VLLMSampler
from esamp.sharing import PerPrompt
from esamp.studies.arm import Arm
from esamp.studies.engines.base import StudyEngine, engines
from esamp.studies.engines.vllm_arm import engine_settings
from esamp.studies.study import Study, Unit

__all__ = ["VLLMStudyEngine"]


@final
@engines.register("vllm")
class VLLMStudyEngine(StudyEngine):
    """vLLM, in processes of its own.

    Args:
        study: whose model it is; its `engine_options` go to `vllm.LLM`.
        device: unused: vLLM chooses its devices itself.

    Raises:
        ModuleNotFoundError: vLLM, or the embedded model's package, is not installed.
        ValueError: the model's weights are no safetensors files.
    """

    spreads: ClassVar[bool] = False

    def __init__(self, study: Study, device: torch.device) -> None:
        # In this process an engine could not be ended, and another one could not start.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1"
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        self._study = study
        source = str(embedded_model()) if study.model == EMBEDDED_NAME else study.model
        self._tokenizer = AutoTokenizer.from_pretrained(source)
        stored = AutoConfig.from_pretrained(source).dtype or torch.float32
        self._dtype = str(stored).removeprefix("torch.") if study.dtype == "auto" else study.dtype
        self._live: VLLMSampler | None = None
        self._key = ""

    @classmethod
    @override
    def check(cls, study: Study) -> None:
        for arm in study.arms:
            engine_settings(arm)

    @override
    def prepare(self, units: Sequence[Unit]) -> list[Unit]:
        """Seed by seed, and within a seed engine by engine: starting one takes longer than many a unit."""
        return sorted(units, key=lambda unit: (unit.seed, _key(unit.arm)))

    @override
    def sampler(self, arm: Arm) -> Sampler:
        if self._live is None or self._key != _key(arm):
            if self._live is not None:
                self._live.engine.close()
            self._live, self._key = self._start(arm), _key(arm)
        chosen = copy.copy(self._live)
        chosen.beta, chosen.sharing = (arm.parts.get(name, getattr(chosen, name)) for name in ("beta", "sharing"))
        return chosen

    @property
    @override
    def has_chat_template(self) -> bool:
        return self._tokenizer.chat_template is not None

    @property
    @override
    def dtype(self) -> str:
        return self._dtype

    @override
    def hash(self) -> str:
        found = hash_files(self._study.model)
        if found is None:
            raise ValueError(
                f"model must have its weights as safetensors files with engine: vllm, got {self._study.model!r}"
            )
        return found

    def _start(self, arm: Arm) -> VLLMSampler:
        study = self._study
        alone = all(isinstance(each.parts.get("sharing", PerPrompt()), PerPrompt) for each in study.arms)
        room = {"max_groups": study.batch_size, "max_lanes": study.n if alone else study.n * study.batch_size}
        given: dict[str, Any] = {"dtype": self._dtype, **study.engine_options, **engine_settings(arm)}
        return VLLMSampler(study.model, **given | {"esamp": room | given.get("esamp", {})})


def _key(arm: Arm) -> str:
    """Arms of equal keys share an engine."""
    return json.dumps(engine_settings(arm), sort_keys=True)
