"""Errors name the argument, the value and the way out."""

from __future__ import annotations

from typing import Any

import pytest

from esamp.checks import check_choice, check_flag, check_integer, check_number


@pytest.mark.parametrize("value", [0, 0.0, 0.5, 1, 1.0])
def test_numbers_inside_come_back_as_floats(value: float) -> None:
    got = check_number("x", value, low=0, high=1)
    assert got == value
    assert isinstance(got, float)


@pytest.mark.parametrize(
    ("value", "interval", "options"),
    [
        (1.3, r"\[0, 1\)", {"low": 0, "high": 1, "high_open": True}),
        (1, r"\[0, 1\)", {"low": 0, "high": 1, "high_open": True}),
        (0, r"\(0, 1\]", {"low": 0, "high": 1, "low_open": True}),
        (-0.1, r"\[0, inf\)", {"low": 0}),
        (float("nan"), r"\(-inf, inf\)", {}),
        (float("inf"), r"\[0, inf\)", {"low": 0}),
        (float("-inf"), r"\(-inf, inf\)", {}),
    ],
)
def test_numbers_outside_are_refused(value: float, interval: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"^min_p must be a finite number in {interval}, got {value!r}; try less$"):
        check_number("min_p", value, hint="try less", **options)


@pytest.mark.parametrize("value", ["0.5", None, True, [0.5], 1j])
def test_what_is_no_number_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match=r"^min_p must be a number in \[0, inf\), got "):
        check_number("min_p", value, low=0)


@pytest.mark.parametrize("value", [1, 7, 10])
def test_integers_inside_come_back(value: int) -> None:
    assert check_integer("n", value, low=1, high=10) == value


@pytest.mark.parametrize(
    ("value", "high", "words"),
    [
        (0, None, "an integer >= 1, got 0"),
        (11, 10, r"an integer in \[1, 10\], got 11"),
        (-5, 10, "got -5; ask for more"),
    ],
)
def test_integers_outside_are_refused(value: int, high: int | None, words: str) -> None:
    with pytest.raises(ValueError, match=f"^n must be .*{words}"):
        check_integer("n", value, low=1, high=high, hint="ask for more")


@pytest.mark.parametrize("value", [1.0, "1", True, None])
def test_what_is_no_integer_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match=r"^n must be an integer >= 1, got "):
        check_integer("n", value, low=1)


def test_a_known_choice_comes_back() -> None:
    assert check_choice("fusion", "mix", ["mix", "match"]) == "mix"


def test_an_unknown_choice_gets_all_names_and_the_nearest() -> None:
    message = r"^fusion must be one of beta_mix, kl_budget, zero, got 'betamix'; did you mean 'beta_mix'\?$"
    with pytest.raises(ValueError, match=message):
        check_choice("fusion", "betamix", ["zero", "beta_mix", "kl_budget"])


@pytest.mark.parametrize("value", ["zzz", 7, None])
def test_a_hopeless_choice_gets_all_names_only(value: object) -> None:
    with pytest.raises(ValueError, match=r"^fusion must be one of match, mix, got [^;]*$"):
        check_choice("fusion", value, ["mix", "match"])


@pytest.mark.parametrize("value", [True, False])
def test_a_flag_comes_back(value: bool) -> None:
    assert check_flag("chat", value) is value


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_what_is_no_flag_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match=r"^chat must be True or False, got "):
        check_flag("chat", value)
