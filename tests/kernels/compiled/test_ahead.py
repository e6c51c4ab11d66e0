"""Every kernel compiles for every GPU, without spills, within its shared memory, and with wide loads."""

from __future__ import annotations

import pytest

from esamp.kernels.ahead import TARGETS, is_wide, report, specialisation
from esamp.kernels.launch import Launch, watch
from esamp.kernels.listing import launches
from esamp.kernels.trial import Sizes, Trial

_LISTED = launches()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", _LISTED)
def test_it_compiles_and_fits(name: str, target: str) -> None:
    got = report(_LISTED[name], TARGETS[target])
    assert got.spills == 0
    assert got.shared <= TARGETS[target].shared
    assert is_wide(name, got)


def _keys(sizes: Sizes, step: int, seed: int) -> set[str]:
    """What Triton would look up in its caches in a step."""
    trial, caught = Trial(sizes, "meta"), list[Launch]()
    with watch(caught.append):
        activations, _ = trial.predict_and_fuse()
        trial.learn(activations)
    for launch in caught:
        if "seed" in launch.arguments:
            launch.arguments["seed"] = seed
    return {launch.name + str(specialisation(launch, TARGETS["sm_90"])[1:]) for launch in caught}


def test_nothing_is_compiled_again_when_rows_width_or_seed_change() -> None:
    usual = _keys(Sizes(), 0, 7)
    # Row counts of every kind that Triton would specialise on: 1, multiples of 16, others.
    for unused in (1, 16, 100, 127):
        for width in (1, 16, 33):
            assert _keys(Sizes(unused=unused, width=width), 1, 1) == usual


@pytest.mark.parametrize("lanes", [1, 16, 17, 33, 64, 128])
def test_a_bank_compiles_each_kernel_at_most_twice(lanes: int) -> None:
    keys = _keys(Sizes(lanes=lanes), 0, 7)
    # Of blocks after the first, `back_down` is another kernel: it need not look at the block's input.
    assert len(keys) <= 9
