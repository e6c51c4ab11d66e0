"""Rows of one step, each with the fusion that its request asks for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esamp.engines.vllm.chosen_fusion import OFFERED, ChosenFusion, choose_fusion
from esamp.fusion import FusionStep, SegmentNovelty, fusions
from esamp.rows import Rows

CPU = torch.device("cpu")


def step(rows: int) -> FusionStep:
    generator = torch.Generator().manual_seed(rows)

    def noise(width: int) -> torch.Tensor:
        return torch.randn(rows, width, generator=generator)

    places = torch.arange(rows)
    beta = torch.full((rows,), 0.5)
    return FusionStep(
        reference=noise(5),
        distilled=noise(5),
        beta=beta,
        mask=torch.ones(rows, 5, dtype=torch.bool),
        ids=torch.arange(5).expand(rows, 5),
        temperature=torch.ones(rows, 1),
        deep=noise(4),
        predicted=noise(4),
        rows=Rows(places, torch.zeros_like(places), places, places, beta),
    )


@given(st.lists(st.none() | st.sampled_from(OFFERED), min_size=1, max_size=6))
def test_each_row_is_fused_as_if_all_had_asked_for_its_fusion(names: list[str | None]) -> None:
    given_step = step(len(names))
    fused = choose_fusion(fusions.build("subtraction"), names, CPU)(given_step)
    for row, name in enumerate(names):
        assert torch.equal(fused[row], fusions.build(name or "subtraction")(given_step)[row])


def test_choices_hold_for_one_step_and_the_engines_own_fusion_is_kept() -> None:
    own = SegmentNovelty().attach(4, 2, lambda: ["a"] * 5)
    chosen = choose_fusion(own, [None, "subtraction"], CPU)
    assert isinstance(chosen, ChosenFusion)
    assert choose_fusion(chosen, ["kl_budget"], CPU) is not chosen
    # With its memory, and with whatever it can do that a choice among several cannot.
    assert choose_fusion(chosen, [None], CPU) is own


def test_no_fusion_on_offer_remembers(subtests: pytest.Subtests) -> None:
    for name in OFFERED:
        with subtests.test(name):
            fusion = fusions.build(name)
            assert not [value for value in vars(fusion.attach(4, 2, tuple)).values() if isinstance(value, torch.Tensor)]
