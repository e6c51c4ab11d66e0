"""What a vLLM worker can be asked about ESamp: `llm.collective_rpc("esamp_records", args=(run,))`."""

from __future__ import annotations

from typing import Any

import torch

from esamp.engines.vllm.installation import installation_of

__all__ = ["ESampWorker"]


class ESampWorker:
    """Methods that vLLM adds to its worker class (`worker_extension_cls`)."""

    vllm_config: Any

    @torch.inference_mode(False)
    def esamp_records(self, run: str) -> list[dict[str, Any]]:
        """The records whose marks (`esamp_record`) begin with `run`; they are forgotten in the worker."""
        return installation_of(self.vllm_config).records.collect(run)

    def esamp_describe(self) -> str:
        """What is on, in one line."""
        return installation_of(self.vllm_config).describe()
