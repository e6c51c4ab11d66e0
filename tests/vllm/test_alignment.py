"""The h¹ and hᴸ that ESamp reads are those of the row whose token is drawn, whatever vLLM does with its batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from esamp.engines.vllm.step import Step
from tests.vllm.driving import counted, drive, elsewhere, params, tokens, watched

SYSTEM = "You are a careful assistant and you answer in few words. "
PROMPTS = {
    "a": SYSTEM + "the sea",
    "b": SYSTEM + "the moon",
    "c": SYSTEM + "the river, the cat, the old road and the people who walked it, " * 2,
    "d": "bread",
}
COUNTS = {"a": 3, "b": 2, "c": 4, "d": 2}
LENGTHS = {"a": 40, "b": 90, "c": 60, "d": 110}


def requests(run: str) -> list[tuple[str, str, Any]]:
    """Four that use ESamp and two that do not, in turns; a group that is known already would go on where it was."""
    plain = params(None, 2, 30, temperature=0.7)
    asked = [(f"{run} {x}", PROMPTS[x], params(f"{run} {x}", COUNTS[x], LENGTHS[x])) for x in PROMPTS]
    return [asked[0], (f"{run} p", PROMPTS["b"], plain), *asked[1:3], (f"{run} q", PROMPTS["d"], plain), asked[3]]


def largest_distance(steps: list[Step], outputs: dict[str, Any], model: PreTrainedModel) -> tuple[int, float]:
    """Number of rows that counted, and how far h¹, hᴸ and logits are from whole forwards of the finished texts."""
    hidden: dict[tuple[str, int], tuple[torch.Tensor, torch.Tensor]] = {}
    rows, worst = 0, 0.0
    for step in steps:
        for i, place in enumerate(step.places):
            if not step.alive[i] or place.member.group.key not in outputs:
                continue
            key = (place.member.group.key, place.member.sample)
            if key not in hidden:
                output = outputs[key[0]]
                ids = torch.tensor([[*output.prompt_token_ids, *tokens(output)[key[1]]]])
                with torch.no_grad():
                    made = model.model(ids, output_hidden_states=True)
                hidden[key] = made.hidden_states[1][0], made.last_hidden_state[0]
            shallow, deep = hidden[key]
            position = len(outputs[key[0]].prompt_token_ids) + place.step - 1
            # The token that the step drew is the one that the text goes on with.
            assert int(step.drawn.tokens[i]) == tokens(outputs[key[0]])[key[1]][place.step]
            worst = max(worst, float((step.shallow[i] - shallow[position]).abs().max()))
            worst = max(worst, float((step.deep[i] - deep[position]).abs().max()))
            logits = model.lm_head(deep[position]).detach()
            worst = max(worst, float((step.reference[i] - logits).abs().max()))
            rows += 1
    return rows, worst


def test_rows_are_aligned_whatever_the_scheduler_does(engine: Any, reference_model: PreTrainedModel) -> None:
    # Prompts that another test has left in the cache would not be cut into chunks.
    engine.reset_prefix_cache()
    with watched(engine) as steps, counted(engine) as counts:
        outputs = drive(engine, requests("align"), every=3)
    rows, worst = largest_distance(steps, outputs, reference_model)
    # Every token of every sample was drawn by ESamp, each exactly once.
    assert rows == sum(COUNTS[name] * LENGTHS[name] for name in PROMPTS)
    assert worst < 2e-4
    # The test is worth something only if all of this happened.
    assert counts.preemptions > 0
    assert counts.prefix_hits > 0
    assert any(not bool(step.alive.all()) for step in steps), "no prompt was cut into chunks"
    assert len({len(step.places) for step in steps}) > 3


def test_rows_stay_aligned_when_requests_are_aborted(engine: Any, reference_model: PreTrainedModel) -> None:
    with watched(engine) as steps:
        outputs = drive(engine, requests("abort"), every=2, abort={9: "abort a", 15: "abort c"})
    assert not {"abort a", "abort c"} & set(outputs)
    rows, worst = largest_distance(steps, outputs, reference_model)
    assert rows == sum(COUNTS[name] * LENGTHS[name] for name in ("b", "d"))
    assert worst < 2e-4


def test_rows_are_aligned_in_a_compiled_model(tiny_folder: Path, tmp_path: Path) -> None:
    # In a process of its own: what a compiler leaves behind in one is not asked of the others.
    code = (
        "from pathlib import Path\n"
        "from transformers import AutoModelForCausalLM\n"
        "from esamp.engines.vllm import LLM\n"
        "from tests.vllm.conftest import ESAMP, options\n"
        "from tests.vllm.driving import drive, watched\n"
        "from tests.vllm.test_alignment import COUNTS, LENGTHS, largest_distance, requests\n"
        f"folder = {str(tiny_folder)!r}\n"
        "llm = LLM(folder, esamp=ESAMP, **options(enforce_eager=False))\n"
        "with watched(llm) as steps:\n"
        "    outputs = drive(llm, requests('compiled'), every=3)\n"
        "model = AutoModelForCausalLM.from_pretrained(folder, dtype='float32').eval()\n"
        "print('aligned', *largest_distance(steps, outputs, model))\n"
    )
    # An empty cache: what an earlier run has compiled would be found again.
    rows, worst = elsewhere(code, VLLM_CACHE_ROOT=str(tmp_path))["aligned"].split()
    assert any(tmp_path.glob("torch_compile_cache/*")), "nothing was compiled"
    assert int(rows) == sum(COUNTS[name] * LENGTHS[name] for name in COUNTS)
    assert float(worst) < 2e-4


def test_a_model_that_is_not_tapped_is_refused_by_name(tiny_folder: Path) -> None:
    from esamp.engines.vllm.installation import installation_of

    class Config:
        instance_id = "never installed"

    with pytest.raises(ValueError, match="--load-format esamp"):
        installation_of(Config())
