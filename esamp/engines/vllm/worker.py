"""What a vLLM worker can be asked about ESamp: `llm.collective_rpc("esamp_records", args=(groups,))`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from esamp.engines.vllm.installation import installation_of

__all__ = ["ESampWorker"]


class ESampWorker:
    """Methods that vLLM adds to its worker class (`worker_extension_cls`)."""

    vllm_config: Any

    @torch.inference_mode(False)
    def esamp_records(self, groups: Sequence[str]) -> list[dict[str, Any]]:
        """The records of these groups, one for each sample; they are forgotten in the worker."""
        return installation_of(self.vllm_config).records.collect(groups)

    def esamp_describe(self) -> str:
        """What is on, in one line."""
        return installation_of(self.vllm_config).describe()
