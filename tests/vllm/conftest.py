"""Engines that the tests share: starting one takes many seconds.

All live as long as the session: an engine that goes takes vLLM's groups of processes along, and those are shared by
every engine of the process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# In this process: the tests look at what the worker does.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from esamp.testing.models import tiny_tokenizer
from esamp.testing.random_llama import LlamaSize, random_llama

SIZE = LlamaSize(128, 3, 2, 1, 64, 256, 512, 512)
ESAMP = {"max_groups": 8, "max_lanes": 8}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    random_llama(SIZE, torch.float32, logit_spread=2.5).save_pretrained(folder)
    tiny_tokenizer(SIZE.vocab_size, chat_template=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def reference_model(tiny_folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).eval()


def options(**more: Any) -> dict[str, Any]:
    """Chunks of prompts, a cache of prefixes, and blocks for few sequences at a time, so that some are preempted."""
    return {
        "dtype": "float32",
        "enforce_eager": True,
        "max_model_len": 256,
        "max_num_batched_tokens": 64,
        "max_num_seqs": 24,
        "enable_prefix_caching": True,
        "block_size": 32,
        "num_gpu_blocks_override": 14,
        "disable_log_stats": False,
        "seed": 1,
    } | more


@pytest.fixture(scope="session")
def engine(tiny_folder: Path) -> Any:
    from esamp.engines.vllm import LLM

    return LLM(tiny_folder, esamp=ESAMP, **options())


@pytest.fixture(scope="session")
def roomy_engine(tiny_folder: Path) -> Any:
    """All samples of a few prompts fit into one step, so that they go in step as in the Hugging Face loop."""
    from esamp.engines.vllm import LLM

    return LLM(tiny_folder, esamp=ESAMP, **options(max_num_batched_tokens=1024, num_gpu_blocks_override=256))


@pytest.fixture(scope="session")
def plain_engine(tiny_folder: Path) -> Any:
    """vLLM as it comes."""
    import vllm

    return vllm.LLM(str(tiny_folder), **options(max_num_batched_tokens=1024, num_gpu_blocks_override=256))


@pytest.fixture(scope="session")
def embedded_engine() -> Any:
    from esamp.engines.vllm import LLM

    return LLM("smollm2-135m", dtype="float32", enforce_eager=True, max_model_len=256, max_num_seqs=16)
