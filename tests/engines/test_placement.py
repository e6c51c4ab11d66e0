"""Models that are quantised, spread over devices, wrapped by adapters or split over processes: sampled, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, distribute_tensor
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from esamp import ESampSampler, GenerationResult, MLPDistiller
from esamp.engines.huggingface import sharding
from esamp.engines.huggingface.taps import Taps
from esamp.testing.models import tiny_model, tiny_tokenizer
from tests.engines.generated import generated

# Of transformers, torch and bitsandbytes, about one another.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")

TOKENIZER = tiny_tokenizer()
PROMPTS = ["Once upon a time", "Hi"]


def sampler_of(model: Any, beta: float = 0.5) -> ESampSampler:
    return ESampSampler(model, TOKENIZER, distiller=MLPDistiller(width=8, lr=0.01), beta=beta)


def tokens_of(result: GenerationResult) -> list[list[int]]:
    return [sample.token_ids.tolist() for samples in result.samples for sample in samples]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    tiny_model().save_pretrained(tmp_path)
    return tmp_path


def quantised(checkpoint: Path, **settings: Any) -> PreTrainedModel:
    config = BitsAndBytesConfig(**settings)
    return AutoModelForCausalLM.from_pretrained(checkpoint, quantization_config=config, device_map="cpu")


@pytest.mark.parametrize("bits", ["load_in_8bit", "load_in_4bit"])
def test_a_quantised_model_is_sampled_from(checkpoint: Path, bits: str) -> None:
    model = quantised(checkpoint, **{bits: True})
    assert model.model.layers[0].mlp.up_proj.weight.dtype in {torch.int8, torch.uint8}
    plain = sampler_of(model, beta=0.0).generate(PROMPTS, n=3, max_new_tokens=8, top_k=20, min_p=None)
    if bits == "load_in_4bit":  # the noise of 8 bits depends on what is beside a row
        length = TOKENIZER(PROMPTS, padding=True, return_tensors="pt")["input_ids"].shape[1]
        wanted = generated(model, TOKENIZER, PROMPTS, n=3, max_new_tokens=8, top_k=20)[:, length:]
        assert [row[: len(tokens)] for row, tokens in zip(wanted.tolist(), tokens_of(plain), strict=True)] == tokens_of(
            plain
        )
    explored = sampler_of(model).generate(PROMPTS, n=3, max_new_tokens=8, top_k=20, min_p=None)
    assert tokens_of(explored) != tokens_of(plain)
    assert explored.diagnostics.resets.tolist() == [0, 0]


def test_quantised_checkpoints_and_adapters_are_loaded_by_name(checkpoint: Path) -> None:
    model = quantised(checkpoint, load_in_8bit=True)
    wrapped = get_peft_model(
        AutoModelForCausalLM.from_pretrained(checkpoint),
        LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False),
    )
    for name, saved in {"quantised": model, "adapter": wrapped}.items():
        saved.save_pretrained(checkpoint / name)
        TOKENIZER.save_pretrained(checkpoint / name)
        wanted = sampler_of(saved).generate(PROMPTS, n=3, max_new_tokens=8)
        distiller = MLPDistiller(width=8, lr=0.01)
        loaded = ESampSampler.from_pretrained(checkpoint / name, distiller=distiller, beta=0.5, device="cpu")
        assert tokens_of(loaded.generate(PROMPTS, n=3, max_new_tokens=8)) == tokens_of(wanted)


@pytest.mark.parametrize("bits", ["load_in_8bit", "load_in_4bit"])
def test_a_quantised_head_is_refused_with_the_way_out(checkpoint: Path, bits: str) -> None:
    model = quantised(checkpoint, **{bits: True}, llm_int8_skip_modules=["none"])
    with pytest.raises(
        ValueError,
        match=r"^model must have an LM head with a floating-point .*Linear[84]bit.*skip_modules=\['lm_head'\]",
    ):
        sampler_of(model)


def test_layers_on_the_disk_are_sampled_from_and_a_head_on_the_disk_is_refused(checkpoint: Path) -> None:
    parts = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
    layers = {"model.layers.0": "disk", "model.layers.1": "disk", "model.layers.2": "cpu"}
    spread = {"device_map": parts | layers, "offload_folder": str(checkpoint / "offloaded")}
    model = AutoModelForCausalLM.from_pretrained(checkpoint, **spread)
    assert model.model.layers[0].mlp.up_proj.weight.is_meta
    got, wanted = (sampler_of(m).generate(PROMPTS, n=3, max_new_tokens=8) for m in (model, tiny_model()))
    assert tokens_of(got) == tokens_of(wanted)
    spread["device_map"] = {"model": "cpu", "lm_head": "disk"}
    with pytest.raises(ValueError, match=r"^model must have an LM head .* in memory"):
        sampler_of(AutoModelForCausalLM.from_pretrained(checkpoint, **spread))


def test_hidden_states_come_to_the_device_of_the_head() -> None:
    model = tiny_model()
    # The one other device that every machine has; it holds no numbers, but it has a name.
    model.lm_head.to("meta")
    model.lm_head.forward = lambda hidden: hidden.to("meta") @ model.lm_head.weight.T
    with Taps(model, sequences=True) as taps, torch.no_grad():
        seen: list[torch.device] = []
        taps.on_shallow = lambda shallow: seen.append(shallow.device)
        model(input_ids=torch.tensor([[2, 30, 41]]))
        assert taps.shallow is not None
        assert taps.deep is not None
        assert {taps.shallow.device.type, taps.deep.device.type, *(device.type for device in seen)} == {"meta"}


def test_a_lora_adapter_is_sampled_from_and_follows_its_switch() -> None:
    lora = LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    wrapped = get_peft_model(tiny_model(), lora)
    sampler = sampler_of(wrapped)
    settings = {"max_new_tokens": 8, "top_k": 20}
    own = sampler.generate(PROMPTS, n=3, min_p=None, **settings)
    inputs = TOKENIZER(PROMPTS, padding=True, return_tensors="pt", return_token_type_ids=False)
    inside = wrapped.generate(**inputs, custom_generate=sampler, do_sample=True, num_return_sequences=3, **settings)
    drawn = inside[:, inputs["input_ids"].shape[1] :].tolist()
    assert [row[: len(tokens)] for row, tokens in zip(drawn, tokens_of(own), strict=True)] == tokens_of(own)
    bare = sampler_of(tiny_model()).generate(PROMPTS, n=3, min_p=None, **settings)
    assert tokens_of(own) != tokens_of(bare)
    with wrapped.disable_adapter():
        assert tokens_of(sampler.generate(PROMPTS, n=3, min_p=None, **settings)) == tokens_of(bare)
    merged = sampler_of(wrapped.merge_and_unload()).generate(PROMPTS, n=3, min_p=None, **settings)
    assert tokens_of(merged) == tokens_of(own)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LoraConfig(target_modules=["lm_head"]), r"^model must have a bare LM head, .* carries .*lora_A.* merge"),
        (
            LoraConfig(target_modules=["q_proj"], modules_to_save=["lm_head"]),
            r"^model must have a bare LM head, .* carries .*modules_to_save.* merge",
        ),
        (
            PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
            r"^model must carry its adapter in its layers, .* PROMPT_TUNING puts virtual tokens",
        ),
    ],
    ids=["head", "saved head", "virtual tokens"],
)
def test_an_adapter_that_cannot_be_followed_is_refused(config: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampler_of(get_peft_model(tiny_model(), config))


@pytest.fixture
def process_group() -> Iterator[None]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("process_group")
def test_a_tensor_parallel_model_is_refused() -> None:
    model = tiny_model()
    sampler = sampler_of(model)
    mesh = init_device_mesh("cpu", (1,))
    model.lm_head.weight = torch.nn.Parameter(distribute_tensor(model.lm_head.weight.data, mesh, [Replicate()]))
    with pytest.raises(
        ValueError, match=r"^model must be whole in each process, .* split by tensor parallelism or FSDP"
    ):
        sampler_of(model)
    with pytest.raises(ValueError, match=r"^model must be whole in each process"):
        model.generate(torch.tensor([[2, 30]]), custom_generate=sampler, do_sample=True, max_new_tokens=2)


@pytest.mark.parametrize(
    ("check", "found"), [("is_fsdp_managed_module", "FSDP"), ("is_deepspeed_zero3_enabled", "DeepSpeed ZeRO-3")]
)
def test_a_model_split_over_processes_is_refused(monkeypatch: pytest.MonkeyPatch, check: str, found: str) -> None:
    monkeypatch.setattr(sharding, check, lambda *_: True)
    with pytest.raises(ValueError, match=rf"^model must be whole in each process, .* split by {found}: "):
        sampler_of(tiny_model())
