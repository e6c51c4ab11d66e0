"""Growth: straight lines are told from cliffs, and banks take what they say."""

from __future__ import annotations

import pytest
from PIL import Image

from esamp.distillers import RecursiveLeastSquaresDistiller, distillers
from esamp.studies.speed import growth
from esamp.studies.speed.growth import Point, bank_bytes, fit_line, lines, measure_growth
from esamp.studies.speed.growth_plot import plot_growth
from esamp.studies.speed.pairs import Spread
from esamp.testing.random_llama import LlamaSize

_BASE = LlamaSize(32, 2, 2, 1, 16, 48, 512, 256)


def test_a_line_is_found_and_a_cliff_stands_above_it():
    straight = fit_line([1, 2, 4, 8], [3.0, 5.0, 9.0, 17.0])
    assert (straight.start, straight.slope) == pytest.approx((1.0, 2.0))
    assert straight.worst < 1e-6
    cliff = fit_line([1, 2, 4, 8], [3.0, 5.0, 30.0, 17.0])
    assert cliff.worst > 0.5


def test_one_point_has_a_level_line():
    assert fit_line([3], [2.0]).slope == 0
    assert fit_line([3], [2.0]).start == 2.0


@pytest.mark.parametrize("name", [name for name in distillers.names() if name not in ("vocabulary", "early_exit")])
def test_a_group_takes_the_bytes_that_its_distiller_predicts(name: str):
    distiller = distillers.build(name)
    assert bank_bytes(distiller, 96) == distiller.memory(96)


@pytest.mark.parametrize(
    ("axis", "value", "shape"),
    [("rows", 3, (1, 3)), ("prompts", 2, (2, 4)), ("hidden_size", 48, (1, 16)), ("vocabulary", 640, (1, 16))],
)
def test_what_grows_is_what_was_asked_for_and_nothing_else(axis, value, shape, monkeypatch):
    seen = []
    measure = growth.measure_step_overhead

    def spy(sampler, prompts, **options):
        head = sampler.engine.head.weight
        seen.append(((len(prompts), options["n"]), tuple(head.shape)))
        return measure(sampler, prompts, **options)

    monkeypatch.setattr(growth, "measure_step_overhead", spy)
    options = {"distiller": RecursiveLeastSquaresDistiller(features=4)}
    (point,) = measure_growth(axis, [value], steps=5, base=_BASE, **options)
    head = (value if axis == "vocabulary" else 512, value if axis == "hidden_size" else 32)
    assert seen == [(shape, head)]
    assert (point.axis, point.value) == (axis, value)
    assert point.plain.low <= point.plain.median <= point.plain.high


def test_an_axis_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"axis must be one of hidden_size, prompts, rows, vocabulary, got 'layers'"):
        next(measure_growth("layers", [1]))


def test_the_picture_has_a_panel_for_each_axis(tmp_path):
    spread = Spread(0.1, 0.09, 0.12)
    points = [Point(axis, value, spread, spread, spread, spread) for axis in ("rows", "prompts") for value in (1, 2)]
    assert set(lines(points[:2])) == {"plain", "explored"}
    widths = []
    for chosen in (points[:2], points):
        plot_growth(chosen, tmp_path / "deep" / "growth.png")
        with Image.open(tmp_path / "deep" / "growth.png") as picture:
            widths.append(picture.width)
    assert widths[1] > 1.5 * widths[0]
