"""A whole step: few launches, no other work on the device, and hardly more bytes than must move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from esamp.candidates import Filters
from esamp.distillers import Distiller, LowRankDistiller, MLPDistiller, NoiseDistiller
from esamp.head import Head
from esamp.kernels.trial import Sizes, Trial
from esamp.testing.counted import StepSizes, count_step, step_floors
from esamp.testing.operations import operations
from esamp.testing.traffic import weigh
from tests.kernels.interpreted.banks import gaussian
from tests.properties.bank import WIDTH, grid, of, step

_SIZES = Sizes(d=192, inner=64, slots=2, lanes=3, vocabulary=500, width=16, head=torch.float32, unused=1)


@pytest.fixture(autouse=True)
def triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are chosen; nothing is poisoned, which would be counted."""
    monkeypatch.setenv("ESAMP_KERNELS", "triton")


@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16], ids=str)
def test_launches_and_bytes_of_a_step(weights: torch.dtype) -> None:
    trial = Trial(Sizes(**{**_SIZES.__dict__, "weights": weights}), "cpu")
    floors = trial.floors
    with operations(weigh) as predicting:
        activations, place = trial.predict_and_fuse()
    with operations(weigh) as learning:
        loss = trial.learn(activations)
    assert predicting.names == ["select", "shrink", "expand", "shrink", "expand", "score"]
    assert learning.names == ["back_down", "back_gate_up", "back_down", "adam"]
    assert floors["predict and fuse"] < predicting.bytes < 1.3 * floors["predict and fuse"]
    assert floors["learn"] < learning.bytes < 1.3 * floors["learn"]
    # It did work, whatever it cost.
    assert loss.isfinite().all()
    assert (place >= 0).all()


# What plain sampling launches between logits and token.
_PLAIN = {"begin": [], "fuse": ["select", "distribute"], "draw": ["pick", "gather", "gather"], "learn": []}


@pytest.mark.parametrize("order", [list(range(6)), [5, 0, 3, 1]], ids=["whole", "ragged"])
@pytest.mark.parametrize(
    ("make", "predicting", "learning"),
    [
        (None, [], []),
        (
            lambda: MLPDistiller(width=64),
            ["_to_copy", "shrink", "expand", "shrink", "expand"],
            ["back_down", "back_gate_up", "back_down", "adam"],
        ),
        (
            lambda: LowRankDistiller(rank=16),
            ["_to_copy", "shrink", "expand", "normalise"],
            ["back_normalise", "back_down", "adam"],
        ),
    ],
    ids=["plain", "mlp", "low_rank"],
)
def test_everything_that_an_explorers_step_asks_of_the_device(
    make: Callable[[], Distiller] | None, predicting: list[str], learning: list[str], order: list[int]
) -> None:
    sizes = StepSizes(d=96, vocabulary=500, groups=2, lanes=3)
    counted = count_step(None if make is None else make(), sizes, torch.tensor(order), weigh)
    got = {name: part.names for name, part in counted.items()}
    scores = [] if make is None else ["score"]
    fuse = ["select", *scores, "distribute"]
    assert got == _PLAIN | {"begin": predicting, "fuse": fuse, "learn": learning}
    # Beside plain sampling: at most six before the token, and four after it.
    own = sum(len(got[part]) - len(_PLAIN[part]) for part in ("begin", "fuse", "draw"))
    assert own <= 6
    assert len(got["learn"]) <= 4


@pytest.mark.parametrize("make", [lambda: MLPDistiller(width=64), lambda: LowRankDistiller(rank=32)])
def test_bytes_of_an_explorers_step(make: Callable[[], Distiller]) -> None:
    # So large a vocabulary that lists of 512 places are nothing beside it.
    sizes = StepSizes(d=128, vocabulary=16_000, groups=2, lanes=3)
    counted = count_step(make(), sizes, torch.arange(6), weigh)
    floors = step_floors(make(), sizes)
    assert counted["begin"].bytes + counted["fuse"].bytes < 1.3 * floors.before
    assert counted["learn"].bytes < 1.3 * floors.learn


def test_a_control_around_a_distiller_launches_its_kernels() -> None:
    head = Head(gaussian(2000, WIDTH))
    mind = of(NoiseDistiller(LowRankDistiller(rank=4)), 2, Filters(min_p=0.3), head)
    taken = step(grid(2), 0)
    taken = replace(taken, reference=head.full(taken.deep))
    tokens, alive = torch.zeros(len(taken.rows), dtype=torch.int64), torch.tensor([True] * 5 + [False])
    learning = ["back_normalise", "back_down", "adam"]
    with operations(weigh) as listed:
        mind.begin(taken.shallow, taken.rows)
        mind.fuse(taken.deep, taken.reference)
        mind.learn(taken.deep, tokens, alive)
    kernels = [operation.name for operation in listed.listed if operation.kernel]
    assert kernels == ["shrink", "expand", "normalise", "select", "score", *learning]
    with operations(weigh) as listed:
        # What was not predicted must be, to be learnt from.
        mind.prefill(taken.shallow, taken.deep, tokens, taken.rows, alive)
    assert [operation.name for operation in listed.listed if operation.kernel][-3:] == learning
    assert mind.losses().isfinite().all()
