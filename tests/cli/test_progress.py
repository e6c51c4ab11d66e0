"""The progress of a run that others may be working on too."""

from __future__ import annotations

import pytest

from esamp.cli.progress import Progress, time_left


@pytest.mark.parametrize(
    ("seconds", "done", "left", "said"),
    [
        (30.0, 3, 4, "about 40 s left"),
        (30.0, 3, 60, "about 10 min left"),
        (30.0, 3, 3600, "about 10.0 h left"),
        (30.0, 3, 0, "about 0 s left"),
        (30.0, 0, 4, "time left is not known yet"),
    ],
)
def test_time_left_goes_by_what_was_done_so_far(seconds: float, done: int, left: int, said: str):
    assert time_left(seconds, done, left) == said


def test_a_pipe_gets_lines_that_count_every_row_and_time_only_new_ones(monkeypatch, capsys):
    counted = iter([40, 60, 100])
    clock = iter([0.0, 10.0, 30.0])
    monkeypatch.setattr("esamp.cli.progress.time.monotonic", lambda: next(clock))
    with Progress(100, lambda: next(counted), every=1e6) as progress:
        progress._show()
    assert capsys.readouterr().out.splitlines() == [
        "60 of 100 rows (60%), about 20 s left",
        "100 of 100 rows (100%), about 0 s left",
    ]


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    counted = iter([2, 8])
    with Progress(8, lambda: next(counted)):
        pass
    shown = capsys.readouterr()
    assert "8/8" in shown.err
    assert shown.out == ""
