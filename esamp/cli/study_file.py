"""A study as its users write it: a YAML file, read and checked before any model is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from esamp.checks import check_choice, check_flag, check_integer
from esamp.cli.imports import check_imports, confined
from esamp.cli.spelling import read_yaml
from esamp.cli.study_arms import read_arms
from esamp.studies.engines import engines
from esamp.studies.study import Study, StudyTask
from esamp.tasks import tasks

__all__ = ["make_study", "read_study"]

_KEYS = (
    "model",
    "dtype",
    "engine",
    "engine_options",
    "tasks",
    "limit",
    "n",
    "seeds",
    "max_new_tokens",
    "batch_size",
    "temperatures",
    "common",
    "grid",
    "arms",
)
_TEMPERATURES = (0.6, 0.8, 1.0, 1.2, 1.4)
_BATCH_SIZE = 8
_CODE = "allow_code_execution"


def read_study(
    path: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    limit: int | None = None,
    allow_code_execution: bool = False,
    allow_imports: bool = False,
) -> Study:
    """The study that a file describes.

    Args:
        path: a YAML file: `tasks`, `n`, `seeds`, `temperatures` of plain sampling, and of the arms `common` settings, a
            `grid` of lists whose every combination is an arm, and `arms` by name.
        overrides: keys that count instead of those of the file.
        limit: problems of each task, whatever the file says; None: what the file says.
        allow_code_execution: tasks that run what a sample says may do so.
        allow_imports: it may name classes that are not of esamp.

    Raises:
        FileNotFoundError: a task's data is not there.
        TypeError: something in it is of the wrong type.
        ValueError: it cannot be read, or something in it is unknown, missing or out of range.
    """
    read = {**read_yaml("study", path), **(overrides or {})}
    if limit is not None:
        read["limit"] = limit
        read["tasks"] = {name: {**own, "limit": limit} for name, own in _tasks(read).items()}
    leave = {"allow_code_execution": allow_code_execution, "allow_imports": allow_imports}
    return make_study(read, path, Path(path).parent, **leave)


def make_study(
    read: Mapping[str, Any],
    where: str,
    folder: Path = Path(),
    *,
    allow_code_execution: bool = False,
    allow_imports: bool = False,
) -> Study:
    """The study that keys and values describe, such as `Study.settings`.

    Args:
        read: as in the file.
        where: they stand, for the errors.
        folder: that files of tasks lie in.
        allow_code_execution: tasks that run what a sample says may do so.
        allow_imports: it may name classes that are not of esamp.

    Raises:
        FileNotFoundError: a task's data is not there.
        TypeError: something in it is of the wrong type.
        ValueError: something in it is unknown, missing or out of range.
    """
    for key in read:
        check_choice(f"a key of {where!r}", key, _KEYS)
    if allow_imports:
        return _make(read, folder, allow_code_execution)
    check_imports(read, repr(where))
    with confined(repr(where)):
        return _make(read, folder, allow_code_execution)


def _make(read: Mapping[str, Any], folder: Path, allow_code_execution: bool) -> Study:
    engine = check_choice("engine", read.get("engine", "huggingface"), engines.names())
    of_all = {key: read[key] for key in ("max_new_tokens", "limit") if read.get(key) is not None}
    arms = read_arms(
        _list(read, "temperatures", _TEMPERATURES),
        _mapping(read, "common"),
        _mapping(read, "grid"),
        _mapping(read, "arms", as_is=True),
    )
    study = Study(
        model=str(read.get("model", "smollm2-135m")),
        tasks=[_task(name, {**of_all, **own}, folder, allow_code_execution) for name, own in _tasks(read).items()],
        n=check_integer("n", read.get("n", 16), low=1),
        seeds=[check_integer("seeds", seed, low=0) for seed in _list(read, "seeds", (0,))],
        arms=arms,
        batch_size=check_integer("batch_size", read.get("batch_size", _BATCH_SIZE), low=1),
        dtype=str(read.get("dtype", "auto")),
        engine=engine,
        engine_options=_mapping(read, "engine_options"),
    )
    engines.resolve(engine).check(study)
    return study


def _tasks(read: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of each task by its name in the study."""
    listed = read.get("tasks") or {}
    if isinstance(listed, str):
        raise ValueError(f"tasks must be a list or hold names with settings, got {listed!r}; write [{listed}]")
    if isinstance(listed, Mapping):
        pairs: list[tuple[Any, Any]] = list(listed.items())
    else:
        pairs = [
            next(iter(each.items())) if isinstance(each, Mapping) and len(each) == 1 else (each, {}) for each in listed
        ]
    found: dict[str, dict[str, Any]] = {}
    for name, own in pairs:
        if not isinstance(name, str) or not isinstance(own, Mapping | None):
            raise ValueError(
                f"tasks must hold names with settings, such as svamp: {{limit: 100}}, got {name!r}: {own!r}"
            )
        if name in found:
            raise ValueError(
                f"tasks must differ, and {name!r} stands there twice; name one of them {{task: {name}, ...}}"
            )
        found[name] = {str(key).replace("-", "_"): value for key, value in (own or {}).items()}
    return found


def _task(name: str, settings: dict[str, Any], folder: Path, allow_code_execution: bool) -> StudyTask:
    arguments = dict(settings)
    kind = str(arguments.pop("task", name))
    limit, longest = arguments.pop("limit", None), arguments.pop("max_new_tokens", None)
    chat = arguments.pop("chat", None)
    cls = tasks.resolve(kind)
    accepted = list(inspect.signature(cls).parameters)
    if _CODE in arguments:
        raise ValueError(f"task {name!r}: {_CODE} is for the command line alone; give --allow-code-execution there")
    for key in arguments:
        check_choice(f"task {name!r}: a setting", key, [*accepted, "task", "limit", "max_new_tokens", "chat"])
    beside = arguments.get("file")
    if isinstance(beside, str) and (folder / beside).exists():
        arguments["file"] = str((folder / beside).resolve())
    extra = {_CODE: True} if allow_code_execution and _CODE in accepted else {}
    try:
        task = cls(**arguments, **extra)
        problems = task.problems()
    except (TypeError, ValueError) as error:
        raise type(error)(f"task {name!r}: {error}") from error
    if limit is not None:
        problems = problems[: check_integer(f"task {name!r}: limit", limit, low=1)]
    recorded = {"task": kind, "limit": limit, **arguments}
    longest = check_integer(
        f"task {name!r}: max_new_tokens", task.max_new_tokens if longest is None else longest, low=1
    )
    chats = check_flag(f"task {name!r}: chat", task.chat if chat is None else chat)
    return StudyTask(name, task, problems, recorded | {"max_new_tokens": longest, "chat": chats}, longest, chats)


def _mapping(read: Mapping[str, Any], key: str, *, as_is: bool = False) -> dict[str, Any]:
    value = read.get(key) or {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{key} must hold keys and values, got {value!r}")
    return {str(name) if as_is else str(name).replace("-", "_"): each for name, each in value.items()}


def _list(read: Mapping[str, Any], key: str, default: Sequence[Any]) -> list[Any]:
    value = read.get(key, list(default))
    if not isinstance(value, list):
        raise ValueError(f"{key} must be a list, got {value!r}; write [{value}]")
    return value
