from __future__ import annotations

import pytest
import torch

from esamp.schedules import linear, only_first


def test_linear_goes_from_start_to_end_and_stays():
    torch.testing.assert_close(linear(1.0, 3.0, 4)(torch.tensor([0, 1, 4, 40])), torch.tensor([1.0, 1.5, 3.0, 3.0]))


def test_only_first_ends():
    assert only_first(0.5, 3)(torch.tensor([0, 2, 3])).tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    "build", [lambda: linear(-1.0, 1.0, 2), lambda: linear(1.0, 1.0, 0), lambda: only_first(0.1, 0)]
)
def test_bad_arguments_are_refused(build):
    with pytest.raises(ValueError, match="got"):
        build()
