"""The load format "esamp": any other loader, whose model is then tapped, before compilation and graph capture."""

from __future__ import annotations

import copy
from typing import Any, final

import torch
from torch import nn
from typing_extensions import override
from vllm.config import ModelConfig, VllmConfig
from vllm.config.load import LoadConfig
from vllm.logger import init_logger
from vllm.model_executor.model_loader import get_model_loader
from vllm.model_executor.model_loader.base_loader import BaseModelLoader

from esamp.engines.vllm.compatibility import check_engine
from esamp.engines.vllm.installation import install

__all__ = ["BASE_FORMAT", "ESampModelLoader"]

BASE_FORMAT = "esamp_base_format"
"""Key of `model_loader_extra_config` that names the load format underneath; "auto" where it is missing."""

_log = init_logger("vllm.esamp")


@final
class ESampModelLoader(BaseModelLoader):
    """Loads with another loader and installs ESamp on what that gives."""

    def __init__(self, load_config: LoadConfig) -> None:
        super().__init__(load_config)
        extra: dict[str, Any] = dict(load_config.model_loader_extra_config or {})
        inner = copy.copy(load_config)
        inner.load_format = extra.pop(BASE_FORMAT, "auto")
        inner.model_loader_extra_config = extra
        self._inner = get_model_loader(inner)

    @override
    def download_model(self, model_config: ModelConfig) -> None:
        self._inner.download_model(model_config)

    @override
    def load_weights(self, model: nn.Module, model_config: ModelConfig) -> None:
        self._inner.load_weights(model, model_config)

    @override
    def load_model(self, vllm_config: VllmConfig, model_config: ModelConfig, prefix: str = "") -> nn.Module:
        check_engine(vllm_config)
        model = self._inner.load_model(vllm_config=vllm_config, model_config=model_config, prefix=prefix)
        # The bank is written in every step, in and out of inference mode.
        with torch.inference_mode(False):
            installation = install(model, vllm_config)
        _log.info("ESamp is on: %s", installation.describe())
        return model
