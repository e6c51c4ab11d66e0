"""Validation of public arguments: every error names the argument, the value and the way out."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence

__all__ = ["check_choice", "check_flag", "check_integer", "check_number", "check_shape"]


def check_number(
    name: str,
    value: object,
    *,
    low: int | float = -math.inf,
    high: int | float = math.inf,
    low_open: bool = False,
    high_open: bool = False,
    hint: str = "",
) -> float:
    """Return `value` as a finite float inside the interval.

    Raises:
        TypeError: `value` is not a number (a bool is not one).
        ValueError: `value` is NaN, infinite or outside the interval.

    Examples:
        >>> check_number("min_p", 1, low=0, high=1)
        1.0
        >>> check_number("min_p", 1.3, low=0, high=1, high_open=True, hint="pass None to switch it off")
        Traceback (most recent call last):
            ...
        ValueError: min_p must be a finite number in [0, 1), got 1.3; pass None to switch it off
    """
    left, right = "(" if low_open or low == -math.inf else "[", ")" if high_open or high == math.inf else "]"
    interval = f"{left}{low:g}, {high:g}{right}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(_message(f"{name} must be a number in {interval}", value, hint))
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    inside = low <= number <= high and not (low_open and number == low) and not (high_open and number == high)
    if not math.isfinite(number) or not inside:
        raise ValueError(_message(f"{name} must be a finite number in {interval}", value, hint))
    return number


def check_integer(name: str, value: object, *, low: int, high: int | None = None, hint: str = "") -> int:
    """Return `value` as an int of at least `low` and at most `high`.

    Raises:
        TypeError: `value` is not an integer (a bool is not one).
        ValueError: `value` is out of range.

    Examples:
        >>> check_integer("n", 2.0, low=1)
        Traceback (most recent call last):
            ...
        TypeError: n must be an integer >= 1, got 2.0
    """
    wanted = f"an integer >= {low}" if high is None else f"an integer in [{low}, {high}]"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(_message(f"{name} must be {wanted}", value, hint))
    if value < low or (high is not None and value > high):
        raise ValueError(_message(f"{name} must be {wanted}", value, hint))
    return value


def check_flag(name: str, value: object) -> bool:
    """Return `value` if it is True or False.

    Raises:
        TypeError: it is anything else.

    Examples:
        >>> check_flag("chat", "yes")
        Traceback (most recent call last):
            ...
        TypeError: chat must be True or False, got 'yes'
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def check_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`; the error lists them, the nearest first.

    Raises:
        ValueError: `value` is none of the choices.

    Examples:
        >>> check_choice("fusion", "beta_mx", ["beta_mix", "subtraction"])
        Traceback (most recent call last):
            ...
        ValueError: fusion must be one of beta_mix, subtraction, got 'beta_mx'; did you mean 'beta_mix'?
    """
    known = sorted(choices)
    if isinstance(value, str) and value in known:
        return value
    near = difflib.get_close_matches(str(value), known, n=3, cutoff=0.4)
    guess = f"; did you mean {' or '.join(repr(word) for word in near)}?" if near else ""
    raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}{guess}")


def check_shape(part: object, what: str, got: Sequence[int], wanted: Sequence[int], suite: str) -> None:
    """Hold what a part returned to the shape that its zoo promises. Shapes are known without asking a device.

    Raises:
        ValueError: it is of another shape; the message names the class and the suite that checks all contracts.

    Examples:
        >>> from esamp import BetaMix
        >>> try:
        ...     check_shape(BetaMix(), "the logits", got=(2, 3), wanted=(2, 4), suite="check_fusion")
        ... except ValueError as error:
        ...     print(str(error).partition(";")[0])
        BetaMix breaks the contract of its zoo: the logits must have the shape (2, 4), got (2, 3)
    """
    if tuple(got) != tuple(wanted):
        raise ValueError(
            f"{type(part).__name__} breaks the contract of its zoo: {what} must have the shape {tuple(wanted)}, "
            f"got {tuple(got)}; esamp.testing.{suite} holds it to every contract"
        )


def _message(wanted: str, value: object, hint: str) -> str:
    return f"{wanted}, got {value!r}" + (f"; {hint}" if hint else "")
