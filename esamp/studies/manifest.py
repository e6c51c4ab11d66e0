"""What a run was made with: versions, commit, model, machine, and the whole study."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import esamp
from esamp.registry import spelled
from esamp.studies.engines import StudyEngine
from esamp.studies.store import RunFolder
from esamp.studies.study import Study
from esamp.studies.surroundings import commit, now, surroundings, versions

__all__ = ["differences", "finish_manifest", "read_manifest", "start_manifest"]


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
    start = surroundings()
    start["machine"] |= {"device": device, "processes": processes}
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
    first = starts[0] if starts else start
    whole: dict[str, Any] = {
        **first,
        "model": model,
        "study": study.settings,
        "parts": _parts(study),
        "problems": _problems(study),
        "rows": study.rows,
    }
    whole["starts"] = [*starts, start]
    _write(folder.manifest, whole)


def finish_manifest(folder: RunFolder, failed: int) -> None:
    """Say in the manifest that all rows are there, and of how many of them the verifier failed."""
    _write(folder.manifest, {**read_manifest(folder.manifest), "finished": now(), "failed_verdicts": failed})


def differences(manifest: dict[str, Any], study: Study) -> list[str]:
    """What is other than when a manifest was written, of what the rows may depend on; a line for each.

    Args:
        manifest: of the run.
        study: the one it describes, read again.

    Raises:
        ValueError: a task has other problems now: there is nothing to compare.
    """
    for name, (before, after) in _changed(manifest["problems"], _problems(study)).items():
        raise ValueError(
            f"task {name!r} must have the problems of the manifest, {before}, got {after}; put its data back in place"
        )
    said = _changed({**manifest["versions"], "esamp": manifest["esamp"]}, {**versions(), "esamp": esamp.__version__})
    if manifest["commit"] != commit():
        said["commit"] = (manifest["commit"], commit())
    said |= _changed(manifest.get("parts", {}), _parts(study)) if "parts" in manifest else {}
    return [f"{name} was {before}, is {after}" for name, (before, after) in said.items()]


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (before.get(name), after.get(name)) for name in {**before, **after} if before.get(name) != after.get(name)
    }


def _parts(study: Study) -> dict[str, str]:
    """Of each arm, its parts with every argument: a default may have changed since."""
    return {
        f"{arm.name}: {name}": spelled(part)
        for arm in study.arms
        for name, part in arm.parts.items()
        if type(part).__module__ != "builtins"
    }


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
    try:
        scratch.write_text(json.dumps(manifest, indent=1, ensure_ascii=False))
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
