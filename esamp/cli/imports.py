"""What a configuration file may name: our own parts. To import the class of anybody else is to run its code."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, final

from typing_extensions import override

from esamp.cli.parts import PARTS

__all__ = ["ALLOW_IMPORTS", "check_imports", "confined"]

ALLOW_IMPORTS = "--allow-imports"
"""The option of the command line that lets files name any class."""

_DOTTED = re.compile(r"([A-Za-z_]\w*)(?:(?:\.\w+)+(?::[\w.]+)?|:[\w.]+)")
_INSTALLED = ("site-packages", "dist-packages")
_OURS = "esamp"

# Keys whose values name a class or a function, beside those of the parts.
_NAMING = (*PARTS, "sampler", "class_path", "task", "select", "engine")
# Keys that hold such keys.
_HOLDING = ("common", "grid", "arms", "sampler")


def check_imports(config: Mapping[str, Any], where: str) -> None:
    """Refuse what would import anything but esamp itself.

    Args:
        config: options or a study, by their keys.
        where: they stand, for the error.

    Raises:
        ValueError: something in it names a class or function elsewhere.
    """
    for key, word in _named(config):
        for path in word.split(":", 1) if key == "select" else [word]:
            found = _DOTTED.fullmatch(path)
            if found and found[1] != _OURS and _importable(found[1]):
                raise ValueError(_refusal(f"{key} in {where}", path))


@contextmanager
def confined(where: str) -> Generator[None]:
    """Inside, nothing that was not installed is imported, whatever way a file finds to name it: no file beside it.

    Args:
        where: what is read from, for the error.

    Raises:
        ValueError: something was to be imported all the same.
    """
    guard = _Guard()
    sys.meta_path.insert(0, guard)
    try:
        yield
    except Exception as error:
        if guard.refused and ALLOW_IMPORTS not in str(error):
            raise ValueError(_refusal(where, guard.refused[0])) from error
        raise
    finally:
        sys.meta_path.remove(guard)
    if guard.refused:
        raise ValueError(_refusal(where, guard.refused[0]))


@final
class _Guard(MetaPathFinder):
    """Refuses to find modules that are neither ours, nor Python's, nor installed."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        package = fullname.partition(".")[0]
        if package == _OURS or package in sys.stdlib_module_names:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        places = [] if found is None else [found.origin or "", *(found.submodule_search_locations or ())]
        if any(part in _INSTALLED for place in places for part in Path(place).parts) or not places:
            return None  # the finders after this one find it, or nobody does
        self.refused.append(fullname)
        raise ImportError(f"{fullname} is not imported for a file")


def _refusal(where: str, path: str) -> str:
    return (
        f"{where} names {path!r}, which is not of esamp: to import it runs its code; if you trust it, give "
        f"{ALLOW_IMPORTS} on the command line"
    )


def _named(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every word that may name a class, with the key it stands at."""
    for key, value in config.items():
        name = str(key).replace("-", "_")
        if name == "tasks":
            yield from _tasks(value)
        elif name in _HOLDING and isinstance(value, Mapping):
            for inner in [value, *(each for each in value.values() if isinstance(each, Mapping))]:
                yield from _named(inner)
        elif name in _NAMING:
            yield from ((name, word) for word in _words(value))


def _tasks(value: Any) -> Iterator[tuple[str, str]]:
    """Names of tasks, and what their own `task` says; not their arguments, which are data."""
    listed: Any = [value] if isinstance(value, Mapping | str) else value
    for each in listed if isinstance(listed, Sequence) else ():
        if isinstance(each, str):
            yield "tasks", each
        elif isinstance(each, Mapping):
            for name, own in each.items():
                yield "tasks", str(name)
                if isinstance(own, Mapping) and isinstance(own.get("task"), str):
                    yield "task", own["task"]


def _words(value: Any) -> Iterator[str]:
    """All words of a value, however deep: what may be a class among a part's arguments, its own code decides."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _words(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _words(inner)


def _importable(package: str) -> bool:
    """There is such a package; nothing is imported to find out."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return True  # something of that name is there, and is odd
