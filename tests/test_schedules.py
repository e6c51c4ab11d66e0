from __future__ import annotations

import pytest
import torch

from esamp.schedules import Linear, OnlyFirst, name_value, parse_value


def test_linear_goes_from_start_to_end_and_stays():
    torch.testing.assert_close(Linear(1.0, 3.0, 4)(torch.tensor([0, 1, 4, 40])), torch.tensor([1.0, 1.5, 3.0, 3.0]))


def test_only_first_ends():
    assert OnlyFirst(0.5, 3)(torch.tensor([0, 2, 3])).tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    "build", [lambda: Linear(-1.0, 1.0, 2), lambda: Linear(1.0, 1.0, 0), lambda: OnlyFirst(0.1, 0)]
)
def test_bad_arguments_are_refused(build):
    with pytest.raises(ValueError, match="got"):
        build()


@pytest.mark.parametrize("schedule", [Linear(0.5, 0.0, 64), OnlyFirst(0.25, 16)])
def test_the_text_of_a_schedule_makes_it_again(schedule):
    assert parse_value("beta", str(schedule)) == schedule
    assert name_value(schedule) == str(schedule)


def test_numbers_pass_and_other_functions_go_by_their_name():
    assert parse_value("beta", 0.5) == 0.5
    assert name_value(0.5) == 0.5
    assert name_value(len) == "len"
