"""Two processes that share a model draw the tokens that one draws, and their distillers stay equal."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.vllm.driving import drive, elsewhere, params, tokens

PROMPTS = ["the sea is wide", "a bird in the hand"]
# As they are before an engine of this process binds itself to one.
CORES = sorted(os.sched_getaffinity(0))[:2]


@pytest.mark.skipif(len(CORES) < 2, reason="vLLM binds each of the two ranks to a core of its own")
def test_two_ranks_draw_what_one_draws(tiny_folder: Path, roomy_engine: Any) -> None:
    asked = [(str(i), prompt, params(f"alone {i}", 3, 16, esamp_seed=9)) for i, prompt in enumerate(PROMPTS)]
    wanted = drive(roomy_engine, asked)
    code = (
        "import json\n"
        "from esamp.engines.vllm import LLM\n"
        "from tests.vllm.conftest import ESAMP, options\n"
        "from tests.vllm.driving import drive, params, tokens\n"
        "from tests.vllm.test_tensor_parallel import PROMPTS\n"
        "if __name__ == '__main__':\n"
        "    more = options(max_num_batched_tokens=1024, num_gpu_blocks_override=256, tensor_parallel_size=2)\n"
        f"    llm = LLM({str(tiny_folder)!r}, esamp=ESAMP, **more)\n"
        "    asked = [(str(i), p, params(f'two {i}', 3, 16, esamp_seed=9, esamp_record=f'run {i}'))"
        " for i, p in enumerate(PROMPTS)]\n"
        "    outputs = drive(llm, asked)\n"
        "    ranks = llm.collective_rpc('esamp_records', args=('run',))\n"
        "    print('made', json.dumps([[tokens(outputs[str(i)]) for i in range(2)], ranks]))\n"
    )
    made = elsewhere(code, VLLM_CPU_OMP_THREADS_BIND="|".join(map(str, CORES)))
    got, ranks = json.loads(made["made"])
    assert got == [tokens(wanted[str(i)]) for i in range(2)]
    assert len(ranks) == 2
    # Tokens, log-probabilities, novelty and losses of every step: a distiller that had drifted would show.
    assert ranks[0] == ranks[1]
    assert len(ranks[0]) > 0
