"""`esamp eval` as real processes: several of them, and killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from esamp.studies.rows import KEY, read_rows

STUDY = """
model: MODEL
tasks: {prompts: {prompts: [one two three, four five, six seven, eight]}}
n: 4
max_new_tokens: 40
seeds: [0, 1, 2, 3]
batch_size: 1
temperatures: [0.7, 1.3]
arms: {ESamp: {beta: 0.5}}
"""
ROWS = 4 * 4 * 4 * 3


def start(study: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "esamp", "eval", str(study), "--out", str(out), "--accelerator", "cpu", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ESAMP_CACHE": str(study.parent / "cache")}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True)


def units(out: Path) -> int:
    return len(list((out / "rows").glob("*.parquet")))


def finish(study: Path, out: Path, *options: str) -> None:
    process = start(study, out, *options)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def rows(out: Path) -> list[dict]:
    found = [{**row, "seconds": 0.0} for row in read_rows(out).to_pylist()]
    assert len({tuple(row[name] for name in KEY) for row in found}) == len(found)
    return found


@pytest.fixture(scope="module")
def study(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("study") / "study.yaml"
    file.write_text(STUDY.replace("MODEL", model))
    return file


@pytest.fixture(scope="module")
def undisturbed(study: Path) -> list[dict]:
    """The rows of one process that nobody disturbed."""
    out = study.parent / "undisturbed"
    finish(study, out)
    found = rows(out)
    assert len(found) == ROWS
    return found


def test_two_processes_give_the_rows_of_one(study: Path, tmp_path: Path, undisturbed: list[dict]):
    process = start(study, tmp_path / "out", "--devices", "2", "--strategy", "ddp")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert rows(tmp_path / "out") == undisturbed
    assert '"processes": 2' in (tmp_path / "out" / "manifest.json").read_text()
    # One of them speaks.
    assert out.count(f"0 of {ROWS} rows are in") == 1


@pytest.mark.parametrize("devices", [1, 2])
def test_killed_at_random_moments_it_loses_and_repeats_no_row(
    study: Path, tmp_path: Path, undisturbed: list[dict], devices: int
):
    out, chance = tmp_path / "out", random.Random(devices)
    options = ("--devices", str(devices), "--strategy", "ddp") if devices > 1 else ()
    kills = 0
    while kills < 2:
        before = units(out)
        process = start(study, out, *options)
        # Somewhere between the next unit and a few later, also in the middle of one.
        wanted = before + chance.randrange(1, 6)
        while process.poll() is None and units(out) < wanted:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.1)
        if process.poll() is not None:
            break
        process.kill()
        process.communicate(timeout=60)
        kills += 1
        kept = rows(out)
        assert 0 < len(kept) < ROWS
        assert all(row in undisturbed for row in kept)
    assert kills
    finish(study, out, *options)
    assert rows(out) == undisturbed
    assert not (out / "partial").exists()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_order(study: Path, tmp_path: Path, undisturbed: list[dict], sent: int, code: int):
    out = tmp_path / "out"
    process = start(study, out)
    while process.poll() is None and units(out) < 2:
        time.sleep(0.002)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    kept = rows(out)
    assert f"esamp: interrupted; {len(kept)} of {ROWS} rows are in {out}; to go on, run the same command again" in err
    assert "Traceback" not in err
    assert 0 < len(kept) < ROWS
    assert all(row in undisturbed for row in kept)


def test_nobody_is_left_when_the_first_process_is_killed(study: Path, tmp_path: Path):
    out = tmp_path / "out"
    process = start(study, out, "--devices", "2", "--strategy", "ddp")
    while process.poll() is None and units(out) < 2:
        time.sleep(0.002)
    process.kill()
    process.wait(timeout=60)
    deadline = time.monotonic() + 60
    while _alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(process.pid)
    process.communicate(timeout=60)


def _alive(group: int) -> bool:
    """Somebody of the process group still runs."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of) == group and state != "Z":
            return True
    return False
