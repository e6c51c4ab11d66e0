"""Samples do not depend on how fast requests reach an engine in a process of its own: it starts when all are there."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.vllm.driving import elsewhere

PROMPTS = ["the sea is wide", "a bird in the hand"]
NO_TOKEN = 10**6


def draw_at_different_paces(llm: Any) -> str:
    """Tokens at two paces and after a refusal, and what was refused; the engine is in a process of its own."""
    import vllm
    from vllm.exceptions import VLLMValidationError

    pace = [0.0]
    core = llm.llm_engine.engine_core
    add = core.add_request

    def slowly(request: Any) -> None:
        time.sleep(pace[0])
        add(request)

    core.add_request = slowly
    asked = {"esamp_beta": 1.0, "esamp_seed": 3}
    parameters = vllm.SamplingParams(n=4, max_tokens=12, ignore_eos=True, extra_args=asked)

    def draw() -> list[list[list[int]]]:
        outputs = llm.generate(PROMPTS, parameters, use_tqdm=False)
        outputs += llm.chat([[{"role": "user", "content": prompt}] for prompt in PROMPTS], parameters, use_tqdm=False)
        return [[list(sample.token_ids) for sample in output.outputs] for output in outputs]

    found = [draw()]
    pace[0] = 0.05
    found.append(draw())
    refused = ""
    try:
        llm.generate([PROMPTS[0], {"prompt_token_ids": [NO_TOKEN]}], parameters, use_tqdm=False)
    except VLLMValidationError as error:
        refused = str(error)
    found.append(draw())
    return json.dumps([found, refused])


def test_an_engine_starts_when_all_requests_are_there(tiny_folder: Path) -> None:
    code = (
        "import os\n"
        "from esamp.engines.vllm import LLM\n"
        "from tests.vllm.conftest import ESAMP, options\n"
        "from tests.vllm.test_arrival import draw_at_different_paces\n"
        "if __name__ == '__main__':\n"
        "    os.environ['VLLM_ENABLE_V1_MULTIPROCESSING'] = '1'\n"
        "    more = options(max_num_batched_tokens=1024, num_gpu_blocks_override=256)\n"
        f"    print('found', draw_at_different_paces(LLM({str(tiny_folder)!r}, esamp=ESAMP, **more)))\n"
    )
    (at_once, late, after_a_refusal), refused = json.loads(elsewhere(code)["found"])
    assert str(NO_TOKEN) in refused
    assert late == at_once
    assert after_a_refusal == at_once, "what came with the refused request has left nothing behind"
    assert len({tuple(sample) for samples in at_once for sample in samples}) > len(PROMPTS)
