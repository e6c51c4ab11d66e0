"""What holds is said as strongly as the intervals allow, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from esamp.metrics import Interval
from esamp.studies.contrasts import AT_EQUAL_PERPLEXITY, Contrast, holm
from esamp.studies.words import in_words, said, standing

UP, DOWN, WIDE = Interval(0.1, 0.05, 0.2), Interval(-0.1, -0.2, -0.05), Interval(0.1, -0.1, 0.3)
PLAIN = Contrast("birds", "pass", "ESamp", "trained", "plain T=1", "plain", UP, 0.01, 0.01, headline=True, n=16)
CONTROL = replace(PLAIN, against="frozen", kind="control", adjusted=float("nan"))


def paragraph(*contrasts: Contrast, problems: int = 50) -> str:
    return " ".join(in_words(contrasts, problems).paragraph)


@pytest.mark.parametrize(
    ("difference", "adjusted", "wanted"),
    [
        (UP, 0.04, "gains"),
        (UP, 0.06, "leads"),
        (UP, float("nan"), "leads"),
        (WIDE, 0.001, "open"),
        (DOWN, 0.9, "loses"),
        (Interval(0.1, 0.0, 0.2), 0.01, "open"),
        (Interval(float("nan"), float("nan"), float("nan")), float("nan"), "open"),
    ],
)
def test_a_gain_needs_its_interval_and_its_corrected_p(difference: Interval, adjusted: float, wanted: str):
    assert standing(replace(PLAIN, difference=difference, adjusted=adjusted)) == wanted


def test_a_gain_over_plain_sampling_and_control_is_called_one():
    text = paragraph(PLAIN, CONTROL)
    assert "there is a gain in pass@16 on birds (“ESamp”)" in text
    assert "which favours plain sampling" in text
    assert "The control is beaten by what learns" in text
    assert "as well" not in text and "cannot be credited" not in text


@pytest.mark.parametrize(
    ("difference", "wanted"), [(WIDE, "does as well, as far as can be told"), (DOWN, "does better")]
)
def test_a_control_that_does_as_well_stands_in_the_first_paragraph(difference: Interval, wanted: str):
    text = paragraph(PLAIN, replace(CONTROL, difference=difference))
    assert f"A control {wanted}: “frozen” in pass@16 on birds" in text
    assert "cannot be credited to what the distiller has learnt" in text


def test_without_a_control_nothing_is_credited_to_learning():
    assert "The run has no control" in paragraph(PLAIN)


def test_a_lead_is_no_result():
    text = paragraph(replace(PLAIN, adjusted=0.2), CONTROL)
    assert "no gain is established" in text and "a lead, no result" in text
    assert "there is a gain" not in text


def test_no_difference_and_a_loss_are_said():
    text = paragraph(replace(PLAIN, difference=WIDE), replace(PLAIN, measure="answers", difference=DOWN), CONTROL)
    assert "no gain is established" in text
    assert "there is a loss in valid answers on birds (“ESamp”)" in text
    assert "no difference can be told in pass@16 on birds (“ESamp”)" in text


def test_a_guard_that_falls_takes_the_trust_from_the_gain_beside_it():
    guard = replace(PLAIN, measure="repetition", headline=False, difference=UP)
    assert "not to be trusted as it stands: repetition of ESamp on birds" in paragraph(PLAIN, CONTROL, guard)
    assert "not to be trusted" not in paragraph(PLAIN, CONTROL, replace(guard, difference=DOWN))
    assert "not to be trusted" not in paragraph(PLAIN, CONTROL, replace(guard, against="plain T=0.6"))
    assert "not to be trusted" not in paragraph(replace(PLAIN, difference=WIDE), CONTROL, guard)


def test_few_problems_are_said():
    assert "There are 8 problems" in paragraph(PLAIN, CONTROL, problems=8)
    assert "problems: intervals" not in paragraph(PLAIN, CONTROL, problems=20)


def test_controls_alone_say_nothing_of_esamp():
    assert "nothing can be said of ESamp" in paragraph(replace(PLAIN, role="control", arm="frozen"))
    assert "says nothing about a gain" in paragraph()


def test_long_lists_say_how_many_more_there_are():
    many = [replace(PLAIN, task=f"task {number}") for number in range(7)]
    assert "and 3 more (see the tables)" in paragraph(*many, CONTROL)


def test_differences_of_shares_are_points_and_lines_are_shares():
    assert said(PLAIN) == "+10.0 points (+5.0 … +20.0)"
    assert said(replace(PLAIN, measure="answers", difference=DOWN)) == "−0.10 (−0.20 … −0.05)"
    on_line = replace(PLAIN, measure="vendi", against=AT_EQUAL_PERPLEXITY, relative=True)
    assert said(on_line) == "+10.0% (+5.0% … +20.0%)"
    assert "Held against plain sampling at equal perplexity:" in paragraph(on_line)


def test_holm_corrects_the_headline_comparisons_of_what_learns_alone():
    contrasts = [replace(PLAIN, p=p) for p in (0.04, 0.01, 0.03)] + [CONTROL, replace(PLAIN, role="control")]
    assert [c.adjusted for c in holm(contrasts)[:3]] == pytest.approx([0.06, 0.03, 0.06])
    assert holm(contrasts)[3:] == contrasts[3:] or all(c.adjusted != c.adjusted for c in holm(contrasts)[3:4])
