from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest


def test_a_whole_installation_is_said_to_work(esamp) -> None:
    got = esamp("doctor")
    assert (got.code, got.err) == (0, "")
    lines = got.out.splitlines()
    assert lines[-1] == "esamp can work on this machine"
    assert any(line.startswith("ok") and " torch " in line for line in lines)


def test_what_is_missing_is_named_with_the_way_to_get_it(esamp, monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def without(package: str) -> str:
        if package in ("einops", "pyarrow"):
            raise importlib.metadata.PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(importlib.metadata, "version", without)
    got = esamp("doctor")
    assert got.code == 1
    lines = got.out.splitlines()
    assert lines[-1] == "esamp cannot work without einops"
    said = {line.split()[1]: line for line in lines if line}
    assert said["einops"].startswith("MISSING") and "pip install einops" in said["einops"]
    assert said["pyarrow"].startswith("- ") and 'pip install "esamp[studies]"' in said["pyarrow"]


def test_it_runs_where_no_package_is_installed() -> None:
    # -S: without the folder of installed packages.
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-m", "esamp", "doctor"], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "esamp cannot work without esamp" in done.stdout


def test_arguments_are_refused(esamp) -> None:
    got = esamp("doctor", "torch")
    assert got.code == 2 and "doctor takes no arguments, got 'torch'" in got.err
