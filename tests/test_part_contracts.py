"""A part that breaks its contract while it samples: the error says which one, in which class."""

from __future__ import annotations

import pytest
import torch

from esamp import ESampSampler
from esamp.testing.models import tiny_model
from tests.contracts.broken_distillers import Sound
from tests.contracts.broken_fusions import DropsACandidate

SETTINGS = {"n": 3, "max_new_tokens": 4, "ignore_eos": True, "min_p": None}


class NarrowPrediction(Sound):
    def forward(self, shallow):
        return super().forward(shallow)[..., :-1]


class OneLossForAll(Sound):
    def learn(self, shallow, deep, weight):
        return super().learn(shallow, deep, weight).mean().expand(2)


class FeelsNothing(Sound):
    def forward(self, shallow):
        return torch.full_like(super().forward(shallow), torch.nan)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"distiller": NarrowPrediction()},
            r"NarrowPrediction breaks .*: a prediction must have the shape \(1, 3, 64\)",
        ),
        ({"distiller": OneLossForAll()}, r"OneLossForAll breaks .*: the losses of learn must .* \(1,\), got \(2,\)"),
        ({"fusion": DropsACandidate()}, r"DropsACandidate breaks .*: fused logits .* got \(3, 255\); .*check_fusion"),
    ],
    ids=["prediction", "losses", "fusion"],
)
def test_a_wrong_shape_is_named_with_its_class(tokenizer, parts, said):
    sampler = ESampSampler(tiny_model(), tokenizer, beta=1.0, **parts)
    with pytest.raises(ValueError, match=said):
        sampler.generate("one two", **SETTINGS)


def test_predictions_that_are_no_numbers_are_counted_and_steer_nothing(tokenizer):
    model = tiny_model()
    sampler = ESampSampler(model, tokenizer, beta=1.0, distiller=FeelsNothing())
    result = sampler.generate("one two", **SETTINGS)
    plain = sampler.generate("one two", **SETTINGS, beta=0.0)
    assert result.texts == plain.texts
    assert result.diagnostics.resets.tolist() == [4]
