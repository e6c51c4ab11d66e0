"""A compiled forward over a static cache: the same samples, of every family, compiled once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import jaxtyping
import pytest
import torch
from transformers import CompileConfig, PreTrainedModel

from esamp import ESampSampler, GenerationResult, MLPDistiller
from esamp.engines.huggingface import static_forward
from esamp.engines.huggingface.static_cache import StaticRows
from esamp.studies.speed.turns import twin
from esamp.testing.models import FAMILIES, tiny_model, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
# The first is longer than the sliding windows; beside it, the second is padded.
PROMPTS = ["Once upon a time there was a cat and a dog", "Hi"]
WITHOUT_KEYS = {"mamba"}
GRAPHS: list[torch.fx.GraphModule] = []
pytestmark = [
    # torch's own, where its compiler is imported, and transformers' own, where Bloom is traced.
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*autograd.function.Function.* should not be instantiated:DeprecationWarning"),
]


def keep_graph(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
    """A compiler that changes nothing: what is proven is that the model is traced once, and right."""
    GRAPHS.append(graph)
    return graph.forward


TRACED = CompileConfig(backend=keep_graph, mode=None, fullgraph=True)


@pytest.fixture(autouse=True)
def _fresh_and_as_users_run_it() -> Iterator[None]:
    """Without the run-time type checks of the test suite, which cannot be traced; nothing is compiled yet."""
    jaxtyping.config.update("jaxtyping_disable", True)
    torch._dynamo.reset()
    GRAPHS.clear()
    yield
    torch._dynamo.reset()
    jaxtyping.config.update("jaxtyping_disable", False)


def sampler_of(model: PreTrainedModel, compiled: bool | CompileConfig, **parts: Any) -> ESampSampler:
    return ESampSampler(model, TOKENIZER, distiller=MLPDistiller(width=8, lr=0.01), compiled=compiled, **parts)


def ragged(family: str = "llama") -> PreTrainedModel:
    """A model of whose tokens every tenth ends a sample."""
    model = tiny_model(family)
    model.generation_config.eos_token_id = list(range(1, 250, 25))
    return model


def tokens_of(result: GenerationResult) -> list[list[list[int]]]:
    return [[sample.token_ids.tolist() for sample in samples] for samples in result.samples]


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in WITHOUT_KEYS])
def test_every_family_is_traced_once_and_gives_its_samples(family: str) -> None:
    model = ragged(family)
    plain, compiled = sampler_of(model, False), sampler_of(model, TRACED)
    for prompts, n, steps in ((PROMPTS, 5, 24), (PROMPTS[1], 2, 9), (PROMPTS[0], 9, 40), (PROMPTS[1], 1, 5)):
        wanted = plain.generate(prompts, n, max_new_tokens=steps, seed=3)
        assert len({len(row) for rows in tokens_of(wanted) for row in rows}) > 1 or n < 3, "no row left early"
        assert tokens_of(compiled.generate(prompts, n, max_new_tokens=steps, seed=3)) == tokens_of(wanted)
    assert len(GRAPHS) == 1


@pytest.mark.parametrize("family", sorted(WITHOUT_KEYS))
def test_a_model_without_keys_and_values_is_refused_by_name(family: str) -> None:
    with pytest.raises(ValueError, match=r"compiled must be False .* LinearAttentionLayer"):
        sampler_of(tiny_model(family), True)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_the_default_compiler_gives_the_same_samples_and_numbers() -> None:
    model = ragged()
    wanted, got = (sampler_of(model, how).generate(PROMPTS, 4, max_new_tokens=16) for how in (False, True))
    assert tokens_of(got) == tokens_of(wanted)
    for ours, theirs in zip(got.samples[0], wanted.samples[0], strict=True):
        torch.testing.assert_close(ours.log_probs, theirs.log_probs, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(ours.novelty, theirs.novelty, rtol=1e-2, atol=1e-4)
    assert (got.settings["compiled"], wanted.settings["compiled"]) == (True, False)


@pytest.mark.parametrize("parts", [{"learn_prompt": True}, {"scheduler": "thread"}, {"beta": 0.0}], ids=str)
def test_other_parts_do_not_notice(parts: dict[str, Any]) -> None:
    model = ragged()
    wanted, got = (sampler_of(model, how, **parts).generate(PROMPTS, 4, max_new_tokens=16) for how in (False, TRACED))
    assert tokens_of(got) == tokens_of(wanted)


def test_rows_that_are_forwarded_for_nothing_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    as_on_a_gpu = static_forward.rows_to_run
    monkeypatch.setattr(static_forward, "rows_to_run", lambda count, device: as_on_a_gpu(count, torch.device("cuda")))
    model = ragged()
    wanted, got = (sampler_of(model, how).generate(PROMPTS, 5, max_new_tokens=16) for how in (False, TRACED))
    assert tokens_of(got) == tokens_of(wanted)
    assert len(GRAPHS) == 1


def test_inside_generate_it_compiles_too() -> None:
    model = ragged()
    inputs = TOKENIZER(PROMPTS, padding=True, return_tensors="pt", return_token_type_ids=False)
    asked = {"do_sample": True, "num_return_sequences": 4, "max_new_tokens": 12}
    wanted, got = (model.generate(**inputs, custom_generate=sampler_of(model, how), **asked) for how in (False, TRACED))
    assert torch.equal(got, wanted)
    assert len(GRAPHS) == 1


def test_weights_that_change_between_calls_count() -> None:
    model = ragged()
    plain, compiled = sampler_of(model, False), sampler_of(model, TRACED)
    before = tokens_of(compiled.generate(PROMPTS, 4, max_new_tokens=12))
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.02 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
    after = tokens_of(compiled.generate(PROMPTS, 4, max_new_tokens=12))
    assert after == tokens_of(plain.generate(PROMPTS, 4, max_new_tokens=12)) != before
    assert len(GRAPHS) == 1


def test_the_model_is_left_as_it_was_even_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    sampler = sampler_of(model, TRACED)

    def fail(*given: Any, **named: Any) -> None:
        raise KeyError("broken")

    monkeypatch.setattr(StaticRows, "narrow", fail)
    with pytest.raises(KeyError):
        sampler.generate(PROMPTS, 2, max_new_tokens=4)
    monkeypatch.undo()
    sampler.generate(PROMPTS, 2, max_new_tokens=4)
    assert model.config._attn_implementation == "sdpa"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_models_of_one_build_share_the_code_and_nothing_else() -> None:
    first = sampler_of(tiny_model(), TRACED)
    other = sampler_of(tiny_model(seed=1), TRACED)
    for sampler, plain in ((first, tiny_model()), (twin(first), tiny_model()), (other, tiny_model(seed=1))):
        wanted = tokens_of(sampler_of(plain, False).generate(PROMPTS, 2, max_new_tokens=6))
        assert tokens_of(sampler.generate(PROMPTS, 2, max_new_tokens=6)) == wanted
    assert len(GRAPHS) == 1


def test_a_compiler_that_fails_is_named_with_the_way_out() -> None:
    def broken(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        raise OSError("no C++ compiler\nand more")

    sampler = sampler_of(tiny_model(), CompileConfig(backend=broken, mode=None))
    with pytest.raises(RuntimeError, match=r"compiled must be False.*no C\+\+ compiler; on a CPU .* needs g\+\+"):
        sampler.generate(PROMPTS, 2, max_new_tokens=4)


def test_a_model_that_a_static_cache_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StaticRows, "get_mask_sizes", lambda self, query_length: (self.keys.shape[-2], 2))
    with pytest.raises(ValueError, match=r"compiled must be False for LlamaForCausalLM.* static cache"):
        sampler_of(tiny_model(), True)
