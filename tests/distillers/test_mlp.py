"""The paper's distiller: its formula, its size, its settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import linear, silu

from esamp.distillers import MLPDistiller
from esamp.distillers.optimizers import Adam


def test_forward_is_two_residual_gated_blocks() -> None:
    width, inner, groups, rows = 6, 4, 2, 3
    mlp = MLPDistiller(width=inner)
    mlp.setup(width, groups)
    for value in mlp.weights().values():
        # Slots of their own, or a mix-up between them would not show.
        value.data += torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
    shallow = torch.randn(groups, rows, width, generator=torch.Generator().manual_seed(0))
    got = mlp(shallow)
    for group in range(groups):
        for row in range(rows):
            hidden = shallow[group, row]
            for block in range(2):
                gate, up = mlp.weights()[f"gate_up_{block}"][group].T.split(inner)
                down = mlp.weights()[f"down_{block}"][group].T
                hidden = hidden + linear(silu(linear(hidden, gate)) * linear(hidden, up), down)
            torch.testing.assert_close(got[group, row], hidden, atol=1e-4, rtol=1e-4)


def test_size_and_settings_are_the_papers() -> None:
    mlp = MLPDistiller()
    mlp.setup(576, 1)
    parameters = sum(value.numel() for value in mlp.weights().values())
    assert parameters == 2 * 3 * 576 * 384
    assert round(parameters / 1e6, 2) == 1.33
    assert (mlp.width, mlp.blocks, mlp.clip) == (384, 2, 0.5)
    assert isinstance(mlp.optimizer, Adam)
    assert (mlp.optimizer.lr, mlp.optimizer.eps) == (4e-4, 1e-4)


def test_memory_of_a_prompt_is_its_weights_two_moments_and_two_counts() -> None:
    assert MLPDistiller().memory(576) == 4 * (3 * 2 * 3 * 576 * 384 + 2)


def test_another_optimizer_takes_adams_place() -> None:
    adam = Adam(lr=1.0)
    assert MLPDistiller(optimizer=adam).optimizer is adam


@pytest.mark.parametrize("width", [32, 256])
def test_the_start_neither_vanishes_nor_explodes_whatever_the_width(width: int) -> None:
    mlp = MLPDistiller(width=64)
    mlp.setup(width, 1)
    shallow = torch.randn(1, 50, width, generator=torch.Generator().manual_seed(0))
    # The input itself has 1; a block that adds next to nothing, or ever more with the width, is out of bounds.
    assert 1.3 < float(mlp(shallow).detach().square().mean()) < 3.0


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("width", 0, ValueError),
        ("blocks", 0, ValueError),
        ("lr", -1e-3, ValueError),
        ("lr", float("nan"), ValueError),
        ("eps", 0.0, ValueError),
        ("clip", 0.0, ValueError),
        ("seed", -1, ValueError),
        ("width", 3.5, TypeError),
        ("width", True, TypeError),
        ("clip", "much", TypeError),
    ],
)
def test_bad_options_are_refused_by_name(name: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=name):
        MLPDistiller(**{name: value})
