"""A whole step: few launches, no other work on the device, and hardly more bytes than must move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from esamp.candidates import Filters
from esamp.distillers import Distiller, LowRankDistiller, MLPDistiller, NoiseDistiller
from esamp.head import Head
from esamp.kernels.launch import Launch, watch
from esamp.kernels.trial import Sizes, Trial
from tests.kernels.interpreted.banks import gaussian
from tests.kernels.interpreted.traffic import Traffic
from tests.properties.bank import WIDTH, grid, of, step

_SIZES = Sizes(d=192, inner=64, slots=2, lanes=3, vocabulary=500, width=16, head=torch.float32, unused=1)


class _Operations(TorchDispatchMode):
    """Names of PyTorch's own operations that would run on the device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name not in ("empty", "view", "fill_", "detach", "_unsafe_view", "reshape", "set_"):
            self.names.append(name)
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16], ids=str)
def test_launches_and_bytes_of_a_step(weights: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(Sizes(**{**_SIZES.__dict__, "weights": weights}), "cpu")
    floors = trial.floors
    with watch((predicting := Traffic().watch(monkeypatch)).record):
        activations, place = trial.predict_and_fuse()
    with watch((learning := Traffic().watch(monkeypatch)).record):
        loss = trial.learn(activations)
    assert predicting.launches == ["select", "shrink", "expand", "shrink", "expand", "score"]
    assert learning.launches == ["back_down", "back_gate_up", "back_down", "adam"]
    assert floors["predict and fuse"] < predicting.bytes < 1.3 * floors["predict and fuse"]
    assert floors["learn"] < learning.bytes < 1.3 * floors["learn"]
    # It did work, whatever it cost.
    assert loss.isfinite().all()
    assert (place >= 0).all()


def test_nothing_else_runs_on_the_device() -> None:
    trial = Trial(_SIZES, "cpu")
    kernels: list[str] = []
    with _Operations() as operations, watch(lambda launch: kernels.append(launch.name)):
        activations, _ = trial.predict_and_fuse()
        trial.learn(activations)
    assert len(kernels) == 10
    assert operations.names == []


@pytest.mark.parametrize(
    ("make", "predicting", "learning"),
    [
        (
            lambda: MLPDistiller(width=16),
            ["shrink", "expand", "shrink", "expand"],
            ["back_down", "back_gate_up", "back_down", "adam"],
        ),
        (
            lambda: NoiseDistiller(LowRankDistiller(rank=4)),
            ["shrink", "expand", "normalise"],
            ["back_normalise", "back_down", "adam"],
        ),
    ],
    ids=["mlp", "low_rank in a control"],
)
def test_an_explorers_step_launches_no_more(
    make: Callable[[], Distiller], predicting: list[str], learning: list[str]
) -> None:
    head = Head(gaussian(2000, WIDTH))
    mind, taken = of(make(), 2, Filters(min_p=0.3), head), step(grid(2), 0)
    taken = replace(taken, reference=head.full(taken.deep))
    tokens, alive = torch.zeros(len(taken.rows), dtype=torch.int64), torch.tensor([True] * 5 + [False])
    started: list[str] = []

    def run(launch: Launch) -> None:
        started.append(launch.name)
        launch.run()

    with watch(run):
        for _ in range(2):
            started.clear()
            mind.begin(taken.shallow, taken.rows)
            mind.fuse(taken.deep, taken.reference)
            mind.learn(taken.deep, tokens, alive)
            assert started == [*predicting, "select", "score", *learning]
        started.clear()
        # What was not predicted must be, to be learnt from.
        mind.prefill(taken.shallow, taken.deep, tokens, taken.rows, alive)
        assert started[len(started) - len(learning) :] == learning
    assert mind.losses().isfinite().all()
