"""What a run was made with: versions, commit, model, machine, and the whole study."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import esamp
from esamp.studies.engine import StudyEngine
from esamp.studies.store import RunFolder
from esamp.studies.study import Study

__all__ = ["differences", "finish_manifest", "read_manifest", "start_manifest"]

_PACKAGES = ("torch", "transformers", "lightning", "triton", "tokenizers", "pyarrow", "numpy", "vllm")


def start_manifest(
    study: Study,
    engine: StudyEngine,
    folder: RunFolder,
    processes: int,
    device: str,
    wanted: dict[str, Any] | None = None,
) -> None:
    """Write the manifest of a run that begins or goes on.

    Args:
        study: the study.
        engine: its model.
        folder: of the run.
        processes: how many work on it.
        device: what they work on.
        wanted: name, hash and dtype that the model must have; None: those of the run's beginning, if it had one.

    Raises:
        ValueError: the model is another one.
    """
    now: dict[str, Any] = {
        "started": _now(),
        "esamp": esamp.__version__,
        "commit": _commit(),
        "versions": _versions(),
        "machine": {**_machine(), "device": device, "processes": processes},
        "command": shlex.join(["esamp", *sys.argv[1:]]),
    }
    model = {"name": study.model, "hash": engine.hash(), "dtype": engine.dtype}
    before = read_manifest(folder.manifest) if folder.manifest.exists() else None
    if wanted is not None and wanted != model:
        raise ValueError(f"model must be {wanted} to give the same rows, got {model}; put the weights back in place")
    if before is not None and folder.kept() and before["model"] != model:
        raise ValueError(
            f"model must be the one that the rows in {folder.folder} were drawn from, {before['model']}, got {model}; "
            "choose another --out"
        )
    starts = [] if before is None else before["starts"]
    first = starts[0] if starts else now
    whole: dict[str, Any] = {
        **first,
        "model": model,
        "study": study.settings,
        "problems": _problems(study),
        "rows": study.rows,
    }
    whole["starts"] = [*starts, now]
    _write(folder.manifest, whole)


def finish_manifest(folder: RunFolder, failed: int) -> None:
    """Say in the manifest that all rows are there, and of how many of them the verifier failed."""
    _write(folder.manifest, {**read_manifest(folder.manifest), "finished": _now(), "failed_verdicts": failed})


def differences(manifest: dict[str, Any], study: Study) -> list[str]:
    """What is other than when a manifest was written, of what the rows may depend on; a line for each.

    Args:
        manifest: of the run.
        study: the one it describes, read again.

    Raises:
        ValueError: a task has other problems now: there is nothing to compare.
    """
    for name, (before, now) in _changed(manifest["problems"], _problems(study)).items():
        raise ValueError(
            f"task {name!r} must have the problems of the manifest, {before}, got {now}; put its data back in place"
        )
    said = _changed({**manifest["versions"], "esamp": manifest["esamp"]}, {**_versions(), "esamp": esamp.__version__})
    if manifest["commit"] != _commit():
        said["commit"] = (manifest["commit"], _commit())
    return [f"{name} was {before}, is {now}" for name, (before, now) in said.items()]


def _changed(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (before.get(name), now.get(name)) for name in {**before, **now} if before.get(name) != now.get(name)}


def _problems(study: Study) -> dict[str, str]:
    """Of each task, how many problems it poses and a hash of them."""
    found: dict[str, str] = {}
    for task in study.tasks:
        listed = [[problem.id, problem.prompt, problem.reference] for problem in task.problems]
        digest = hashlib.sha256(json.dumps(listed, default=str).encode()).hexdigest()
        found[task.name] = f"{len(listed)} problems, sha256 {digest}"
    return found


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        ValueError: the file cannot be read, or is no manifest.
    """
    wanted = f"manifest must be the manifest.json of a run, and {str(path)!r}"
    try:
        read = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{wanted} cannot be read: {error}") from error
    lacking = [
        key
        for key in ("model", "study", "problems", "versions", "esamp", "commit", "starts")
        if not isinstance(read, dict) or key not in read
    ]
    if lacking:
        raise ValueError(f"{wanted} has no {lacking[0]!r}; give the one that `esamp eval` wrote")
    return read


def _write(path: Path, manifest: dict[str, Any]) -> None:
    """A manifest that is being written never stands in for a whole one."""
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(manifest, indent=1, ensure_ascii=False))
    scratch.replace(path)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _commit() -> str | None:
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


def _versions() -> dict[str, str]:
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
