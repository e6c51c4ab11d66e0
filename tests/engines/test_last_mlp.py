from __future__ import annotations

import pytest
import torch
from torch.nn.functional import silu
from transformers import AutoModelForCausalLM, MixtralConfig

from esamp.distillers import LowRankDistiller
from esamp.engines.huggingface.head import read_head
from esamp.engines.huggingface.last_mlp import read_last_mlp
from esamp.functional import gated_energy
from esamp.llm import FrozenLLM
from esamp.testing.models import tiny_model


@pytest.mark.parametrize("family", ["llama", "qwen2", "mistral", "gemma2", "granite", "cohere"])
def test_all_neurons_together_are_the_mlp(family: str) -> None:
    model = tiny_model(family)
    mlp, module = read_last_mlp(model), model.get_decoder().layers[-1].mlp
    everyone = mlp.loudest(mlp.inner)
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    got = (silu(x @ everyone.gate.T) * (x @ everyone.up.T)) @ everyone.down * mlp.stream
    # GELU is a SiLU to within 0.02 only.
    tolerance = 0.05 if family == "gemma2" else 1e-4
    wanted = module(x * mlp.gain)
    assert (got - wanted).norm() < tolerance * wanted.norm()


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "mamba", "opt", "phi"])
def test_models_without_a_gated_mlp_are_refused_by_name_and_only_for_that_start(family: str) -> None:
    model = tiny_model(family)
    llm = FrozenLLM(read_head(model), lambda: read_last_mlp(model))
    with pytest.raises(ValueError, match=rf"^start must not be 'llm' for {type(model).__name__}: .*'zero', 'random'"):
        LowRankDistiller(rank=4, start="llm").bind(llm)
    LowRankDistiller(rank=4).bind(llm)


def test_a_mixture_of_experts_is_refused_by_name() -> None:
    config = MixtralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_local_experts=2,
    )
    with pytest.raises(ValueError, match=r"^start must not be 'llm' for MixtralForCausalLM"):
        read_last_mlp(AutoModelForCausalLM.from_config(config))


def test_energy_is_the_mean_over_gaussian_inputs() -> None:
    generator = torch.Generator().manual_seed(0)
    gate, up, down = torch.randn(3, 6, 8, generator=generator)
    x = torch.randn(200_000, 8, generator=generator)
    wanted = (silu(x @ gate.T) * (x @ up.T)).square().mean(dim=0) * down.square().sum(dim=1)
    torch.testing.assert_close(gated_energy(gate, up, down), wanted, rtol=0.05, atol=0)


def test_the_start_is_the_loudest_neurons() -> None:
    model = tiny_model()
    llm = FrozenLLM(read_head(model), lambda: read_last_mlp(model))
    distiller = LowRankDistiller(rank=4, start="llm")
    with pytest.raises(RuntimeError, match="set up before bind"):
        distiller.setup(64, 2)
    distiller.bind(llm)
    distiller.setup(64, 2)
    kept = read_last_mlp(model).loudest(4)
    torch.testing.assert_close(distiller.weights()["out"][1], kept.down)
    torch.testing.assert_close(distiller.weights()["gate_up"][0], torch.cat([kept.gate, kept.up]).T)
