"""Where the answer stands in a text, and what number it is."""

from __future__ import annotations

from fractions import Fraction

import pytest

from esamp.tasks.answers import final_answer, last_boxed, number_of, numeric_answer
from esamp.tasks.gpqa import chosen_letter
from esamp.tasks.mathematics import MathComparer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed {\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{3} and \boxed{4", "3"),
        (r"\fbox{7}", "7"),
        ("{}}} no box", None),
    ],
)
def test_the_last_closed_box(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("#### 42", "42"),
        ("#### 41\n#### 42\nDone 7.", "42"),
        ("The answer is 5.", "5"),
        ("**Answer:** 5 apples", "5 apples"),
        ("The final answer to this is $x+1$.", "$x+1$"),
        ("It is 3, no, 4 of 7", "7"),
        ("nothing", None),
        ("", None),
    ],
)
def test_the_final_answer(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 1,234", 1234),
        ("The answer is $18.50 in all.", Fraction(37, 2)),
        (r"\boxed{18 \text{ dollars}}", 18),
        (r"\boxed{x = -3}", -3),
        (r"\boxed{\dfrac{3}{4}}", Fraction(3, 4)),
        (r"\boxed{1{,}000}", 1000),
        ("so 2 + 3 = 5", 5),
        ("The answer is 2 + 3 = 5 cats of 9.", 5),
        ("5-3", 3),
        ("The answer is unknown. There were 7.", 7),
        ("The answer is 50%.", 50),
        ("1/0", None),
        ("9" * 5000, None),
        ("H2O", None),
    ],
)
def test_the_number_at_the_end(text: str, number: int | Fraction | None) -> None:
    assert numeric_answer(text) == number


def test_equal_numbers_are_equal_however_they_are_written() -> None:
    assert number_of("0.50") == number_of("1/2") == number_of(r"\frac{1}{2}") == Fraction(1, 2)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        (r"\boxed{B}", "B"),
        (r"\boxed{\text{C}}", "C"),
        ("The correct answer is (d).", "D"),
        ("**Answer: A**", "A"),
        ("B", "B"),
        ("C) the proton", "C"),
        ("A proton is heavy", None),
        ("", None),
    ],
)
def test_the_chosen_letter(text: str, letter: str | None) -> None:
    assert chosen_letter(text) == letter


def test_a_comparison_that_takes_too_long_is_wrong_and_the_next_is_made() -> None:
    comparer = MathComparer(timeout=30.0)
    assert comparer.compare("1/2", "0.5").correct
    comparer.timeout = 1e-9
    assert comparer.compare("1/2", "0.5").detail == "comparing it took too long"
    comparer.timeout = 30.0
    assert comparer.compare("x+1", "1+x").correct
    comparer.close()
