from __future__ import annotations

import pytest
import torch
from torch.nn.functional import layer_norm, rms_norm, silu

from esamp.distillers import LinearDistiller, LowRankDistiller, MLPDistiller

D = 12


def trained(distiller):
    generator = torch.Generator().manual_seed(0)
    distiller.setup(D, 2)
    for _ in range(5):
        shallow, deep = torch.randn(2, 4, D, generator=generator), torch.randn(2, 4, D, generator=generator)
        distiller.learn(shallow, deep, torch.ones(2, 4))
    return distiller


def test_low_rank_is_its_formula():
    distiller = trained(LowRankDistiller(rank=3, lr=1e-2))
    shallow = torch.randn(2, 4, D)
    weights = {name: value[1] for name, value in distiller.weights().items()}
    x = rms_norm(shallow[1], (D,))
    gate, up = (x @ weights["gate_up"]).chunk(2, dim=-1)
    hidden = x + (silu(gate) * up) @ weights["out"]
    torch.testing.assert_close(distiller(shallow)[1], layer_norm(hidden, (D,)) * weights["scale"] + weights["bias"])


def test_linear_is_its_formula_and_starts_silent():
    fresh = LinearDistiller()
    fresh.setup(D, 1)
    assert not fresh(torch.randn(1, 2, D)).any()
    distiller = trained(LinearDistiller(lr=1e-2))
    shallow = torch.randn(2, 4, D)
    weights = {name: value[0] for name, value in distiller.weights().items()}
    torch.testing.assert_close(distiller(shallow)[0], rms_norm(shallow[0], (D,)) @ weights["matrix"] + weights["bias"])


def test_a_zero_start_leaves_the_residual_path_alone():
    distiller = MLPDistiller(width=8, start="zero")
    distiller.setup(D, 1)
    shallow = torch.randn(1, 3, D)
    assert torch.equal(distiller(shallow), shallow)


def test_a_rank_above_the_width_is_refused_when_the_width_is_known():
    with pytest.raises(ValueError, match=r"rank must be an integer in \[1, 12\], got 13"):
        LowRankDistiller(rank=13).setup(D, 1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LowRankDistiller(rank=0), "rank"),
        (lambda: MLPDistiller(width=0), "width"),
        (
            lambda: MLPDistiller(start="warm"),
            "^start, unless it is the path of a file, must be one of random, zero, got 'warm'",
        ),
        (lambda: LowRankDistiller(storage="int8"), "storage must be one of bfloat16, float32, got 'int8'"),
        (lambda: LinearDistiller(clip=0.0), "clip"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
