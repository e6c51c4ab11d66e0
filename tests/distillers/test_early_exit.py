"""The early exit reads the first layer out, and with the fusions it is DoLa at one fixed layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from esamp import ESampSampler
from esamp.engines.huggingface.final_norm import read_final_norm
from esamp.engines.huggingface.taps import Taps, find_layers
from esamp.testing.models import FAMILIES, tiny_model, tiny_tokenizer

DOLA: dict[str, Any] = {"distiller": "early_exit", "fusion": "subtraction", "beta": 1.0}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_final_norm_makes_the_heads_input_of_the_last_layers_output(family: str) -> None:
    model, streams = tiny_model(family), list[Tensor]()

    def keep(module: object, inputs: object, output: Any) -> None:
        streams.append(output if isinstance(output, Tensor) else output[0])

    norm = read_final_norm(model)
    hook = find_layers(model)[-1].register_forward_hook(keep)
    with Taps(model) as taps, torch.no_grad():
        model(input_ids=torch.tensor([[5, 6, 7]]))
        torch.testing.assert_close(norm(streams[0][:, -1]), taps.deep)
    hook.remove()


def early_and_late(model: Any, ids: list[int]) -> tuple[Tensor, Tensor]:
    """log-probabilities of the first layer and of the last, read out by the model's own modules."""
    with torch.no_grad():
        output = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        early = model.lm_head(model.model.norm(output.hidden_states[1]))
    return early[0, -1].log_softmax(-1), output.logits[0, -1].log_softmax(-1)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_dola_draws_from_the_contrast_on_the_plausible_tokens(temperature: float) -> None:
    model, tokenizer = tiny_model(), tiny_tokenizer()
    sampler = ESampSampler(model, tokenizer, **DOLA)
    options: dict[str, Any] = {"min_p": 0.1, "filter_temperature": 1.0, "temperature": temperature}
    result = sampler.generate("ab", 4, max_new_tokens=4, seed=1, **options)
    prompt = sampler.engine.encode("ab", templated=False)
    for sample in result.samples[0]:
        for step, token in enumerate(sample.token_ids.tolist()):
            early, late = early_and_late(model, prompt + sample.token_ids[:step].tolist())
            plausible = late.exp() >= 0.1 * late.exp().max()
            wanted = ((late - early) / temperature).masked_fill(~plausible, -torch.inf).log_softmax(-1)
            assert int(sample.candidates[step]) == int(plausible.sum())
            torch.testing.assert_close(sample.log_probs[step], wanted[token], atol=1e-4, rtol=1e-4)
    # The first token is contrasted already: nothing has to be learnt.
    assert result.samples[0][0].kl[0] > 0
