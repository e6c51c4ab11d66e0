"""The studies that ship can be run: each file is read and checked as a whole, without a model and a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from esamp.cli.study_file import read_study

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_that_ships_is_read(file: Path):
    study = read_study(str(file))
    assert sum(arm.plain for arm in study.arms) >= 3, "a line to beat"
    assert any(not arm.plain for arm in study.arms)
    assert study.rows > 100


def test_there_are_studies():
    assert len(STUDIES) >= 8
