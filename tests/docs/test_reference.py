"""Every public name, every field and every part stands in the reference."""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import esamp
from esamp.bank import Bank
from esamp.callbacks import StepRecord
from esamp.cli.spelling import PARTS
from esamp.metrics import Scores
from esamp.policy import Fused
from esamp.registry import Registry
from esamp.result import Diagnostics, GenerationResult, Sample
from esamp.samplers import samplers
from esamp.selection import selectors
from esamp.tasks import tasks
from tests.docs.pages import ROOT

# The command line is documented as commands, and nobody imports the rooms of engines and studies by their names.
_ROOMS = ("cli", "engines", "studies", "__main__")


@pytest.fixture(scope="module")
def documented(site: Path) -> frozenset[str]:
    """Names of the site's inventory, which other sites link to."""
    _, _, _, _, packed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    return frozenset(line.rsplit(" ", 4)[0] for line in zlib.decompress(packed).decode().splitlines())


def public_names() -> Iterator[tuple[str, Any]]:
    """What packages, and modules at the top, promise with `__all__`."""
    yield from ((f"esamp.{name}", getattr(esamp, name)) for name in esamp.__all__)
    for module in pkgutil.walk_packages(esamp.__path__, "esamp."):
        _, room, *deeper = module.name.split(".")
        if room not in _ROOMS and (module.ispkg or not deeper):
            imported = importlib.import_module(module.name)
            yield from ((f"{module.name}.{name}", getattr(imported, name)) for name in getattr(imported, "__all__", ()))


def names_of(path: str, what: Any) -> set[str]:
    """The ways to say it: where it is offered, and where it is written."""
    return {path, f"{getattr(what, '__module__', '')}.{getattr(what, '__qualname__', '')}"}


def test_every_public_name_is_in_the_reference(documented: frozenset[str]) -> None:
    names = dict(public_names())
    assert len(names) > 250
    assert [path for path, what in names.items() if not names_of(path, what) & documented] == []


@pytest.mark.parametrize("registry", [*PARTS.values(), samplers, selectors, tasks], ids=lambda each: each.kind)
def test_every_registered_part_is_in_the_reference(documented: frozenset[str], registry: Registry[Any]) -> None:
    for name in registry.names():
        cls = registry.resolve(name)
        if cls.__module__.startswith("esamp."):
            assert names_of("", cls) & documented, name


@pytest.mark.parametrize("record", [Sample, Diagnostics, GenerationResult, StepRecord, Fused, Scores])
def test_every_field_is_among_the_diagnostics(record: Any) -> None:
    page = (ROOT / "docs/reference/diagnostics.md").read_text("utf-8")
    for field in fields(record):
        assert any(f"{before}{field.name}`" in page for before in ("`", "fused.", "diagnostics.")), field.name


def test_the_counters_of_a_bank_are_among_the_diagnostics() -> None:
    page = (ROOT / "docs/reference/diagnostics.md").read_text("utf-8")
    assert "Attributes:" in (Bank.__doc__ or "")
    for line in (Bank.__doc__ or "").split("Attributes:")[1].strip().splitlines():
        assert f"| `{line.strip().partition(':')[0]}` |" in page
