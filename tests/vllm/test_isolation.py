"""Who does not ask for ESamp is left alone, and groups do not know of each other."""

from __future__ import annotations

from typing import Any

from tests.vllm.driving import drive, params, tokens

PROMPTS = ["the sea is wide", "a bird in the hand", "once upon a time there was"]


def plain_requests() -> list[tuple[str, str, Any]]:
    settings = [{"temperature": 0.8, "top_p": 0.9}, {"min_p": 0.1}, {"temperature": 0.0}]
    return [
        (f"plain {i}", prompt, params(None, 2 if i < 2 else 1, 25, seed=40 + i, **settings[i]))
        for i, prompt in enumerate(PROMPTS)
    ]


def esamp_requests(run: str) -> list[tuple[str, str, Any]]:
    """Groups of names that no other run has: one that is known already would go on where it was."""
    return [(f"{run} {i}", prompt, params(f"{run} {i}", 3, 25)) for i, prompt in enumerate(PROMPTS)]


def test_requests_without_esamp_get_the_tokens_of_plain_vllm(plain_engine: Any, roomy_engine: Any) -> None:
    wanted = drive(plain_engine, plain_requests())
    alone = drive(roomy_engine, plain_requests())
    mixed = drive(roomy_engine, [*esamp_requests("mixed"), *plain_requests()])
    for name, _, _ in plain_requests():
        assert tokens(alone[name]) == tokens(wanted[name])
        assert tokens(mixed[name]) == tokens(wanted[name])


def test_a_groups_tokens_do_not_depend_on_other_groups(roomy_engine: Any) -> None:
    together = drive(roomy_engine, esamp_requests("together"))
    for i in (2, 0, 1):
        name, prompt, asked = esamp_requests("alone")[i]
        alone = drive(roomy_engine, [(name, prompt, asked)])
        assert tokens(alone[name]) == tokens(together[f"together {i}"])


def test_equal_prompts_share_nothing_unless_they_ask_to(roomy_engine: Any) -> None:
    prompt = PROMPTS[0]
    settings = {"n": 3, "max_tokens": 25, "esamp_beta": 0.5, "esamp_seed": 7}
    first, second = (drive(roomy_engine, [("x", prompt, params(None, **settings))]) for _ in range(2))
    # As if the other had never been: the distiller is new.
    assert tokens(first["x"]) == tokens(second["x"])
    both = drive(roomy_engine, [(name, prompt, params(None, **settings)) for name in ("x", "y")])
    assert tokens(both["x"]) == tokens(both["y"]) == tokens(first["x"])
    shared = drive(roomy_engine, [(name, prompt, params("shared", 3, 25, esamp_seed=7)) for name in ("x", "y")])
    assert tokens(shared["x"]) != tokens(shared["y"])


def test_filters_of_vllm_act_once(roomy_engine: Any) -> None:
    """vLLM's own top-k, which would act on the fused logits, is ESamp's filter of the reference instead."""
    native = drive(roomy_engine, [("x", PROMPTS[0], params("native", 4, 30, top_k=3, temperature=0.9))])
    ours = drive(roomy_engine, [("x", PROMPTS[0], params("ours", 4, 30, esamp_top_k=3, temperature=0.9))])
    assert tokens(native["x"]) == tokens(ours["x"])


def roster_of(engine: Any) -> Any:
    runner = engine.llm_engine.engine_core.engine_core.model_executor.driver_worker.worker.model_runner
    (processor,) = [p for p in runner.input_batch.logitsprocs.all if type(p).__name__ == "ESampLogitsProcessor"]
    return processor.roster


def test_groups_of_requests_that_have_ended_make_room_for_the_next(roomy_engine: Any) -> None:
    """All rows are taken over by new requests in one step, which vLLM tells row by row."""
    counts = roster_of(roomy_engine).counts
    before = counts["no_group"]
    for run in range(3):
        drive(roomy_engine, [(f"{run} {i}", "the sea", params(f"full {run} {i}", 2, 6)) for i in range(8)])
    assert counts["no_group"] == before


def test_a_request_that_finds_no_group_is_served_without_esamp_and_counted(roomy_engine: Any) -> None:
    counts = roster_of(roomy_engine).counts
    before = counts["no_group"]
    asked = [(f"many {i}", "the sea", params(f"many {i}", 1, 8, seed=5)) for i in range(10)]
    outputs = drive(roomy_engine, asked)
    assert len(outputs) == 10
    assert counts["no_group"] == before + 2
