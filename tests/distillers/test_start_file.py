from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from esamp.distillers import (
    HierarchicalDistiller,
    LinearDistiller,
    LowRankDistiller,
    RecursiveLeastSquaresDistiller,
)
from esamp.distillers.start_file import write_start

D = 16


@pytest.fixture
def saved(tmp_path: Path):
    """Writes the start of a low-rank distiller of rank 4, changed as asked; returns the path."""

    def write(**changes: torch.Tensor | None) -> str:
        part = LowRankDistiller(rank=4, start="random")
        weights = {**part.start_parameters(D), **changes}
        kept = {name: value for name, value in weights.items() if value is not None}
        write_start(tmp_path / "s.safetensors", part, kept, D, model="tiny", release="0")
        return str(tmp_path / "s.safetensors")

    return write


def test_another_width_is_refused_with_both_widths_and_the_file(saved) -> None:
    with pytest.raises(ValueError, match=r"hidden size 32, and that of '.*s.safetensors' \(trained on tiny\) is 16"):
        LowRankDistiller(rank=4, start=saved()).setup(32, 1)


def test_a_hierarchy_starts_its_trunk_from_a_file_and_its_leaves_as_they_do(saved) -> None:
    shallow = torch.randn(2, 3, D, generator=torch.Generator().manual_seed(0))
    loaded, parts = LowRankDistiller(rank=4, start=saved()), [LowRankDistiller(rank=4), LinearDistiller()]
    whole = HierarchicalDistiller(*parts).load(saved())
    for distiller in (loaded, whole):
        distiller.setup(D, 2)
    torch.testing.assert_close(whole(shallow), loaded(shallow))


def test_another_class_another_size_and_wrong_contents_are_named(saved) -> None:
    with pytest.raises(ValueError, match=r"must hold a LinearDistiller, and '.*' holds a LowRankDistiller"):
        LinearDistiller(start=saved())
    with pytest.raises(ValueError, match=r"gate_up in '.*' is \[16, 8\] in place of \[16, 4\].*rank=4"):
        LowRankDistiller(rank=2).load(saved())
    with pytest.raises(ValueError, match=r"extra is missing or too much"):
        LowRankDistiller(rank=4).load(saved(extra=torch.ones(1)))
    with pytest.raises(ValueError, match=r"bias is missing or too much"):
        LowRankDistiller(rank=4).load(saved(bias=None))
    with pytest.raises(ValueError, match=r"finite numbers, and bias in"):
        LowRankDistiller(rank=4).load(saved(bias=torch.full((D,), torch.nan)))


def test_what_is_no_file_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.ckpt").write_bytes(b"junk")
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    for name, said in (("none.safetensors", "is not there"), ("junk.ckpt", "is for --resume"), ("", "is a folder")):
        with pytest.raises(ValueError, match=said):
            LowRankDistiller().load(tmp_path / name)
    with pytest.raises(ValueError, match="holds something else"):
        LowRankDistiller().load(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"^RecursiveLeastSquaresDistiller is not trained by gradients"):
        RecursiveLeastSquaresDistiller().load("x")
