"""The public surface as text: `make api` writes it, a test compares.

A name is public if it stands in the `__all__` of one of these modules. A class is listed with the methods that it
defines itself.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

SNAPSHOT = Path(__file__).with_name("public.txt")

MODULES = (
    "esamp.sampler",
    "esamp.bank",
    "esamp.baselines",
    "esamp.callbacks",
    "esamp.candidates",
    "esamp.distillers",
    "esamp.distillers.optimizers",
    "esamp.draws",
    "esamp.explorer",
    "esamp.functional",
    "esamp.fusion",
    "esamp.head",
    "esamp.llm",
    "esamp.metrics",
    "esamp.policy",
    "esamp.registry",
    "esamp.result",
    "esamp.rollouts",
    "esamp.rows",
    "esamp.schedulers",
    "esamp.schedules",
    "esamp.selection",
    "esamp.sharing",
    "esamp.tasks",
    "esamp.testing",
    "esamp.training",
    "esamp",
)


def public_names() -> Iterator[tuple[str, object]]:
    """(full name, object) of everything public."""
    for module in MODULES:
        found = importlib.import_module(module)
        for name in found.__all__:
            yield f"{module}.{name}", getattr(found, name)


def surface() -> str:
    """A line for each name and each method; what has a second name is there said to be the first."""
    homes = dict[int, str]()
    lines = list[str]()
    for name, value in public_names():
        home = homes.setdefault(id(value), name) if callable(value) else name
        lines += _lines(name, value) if home == name else [f"{name}: {home}"]
    return "\n".join(sorted(lines)) + "\n"


def _lines(name: str, value: object) -> Iterator[str]:
    if inspect.isclass(value):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        yield f"{name}: class({bases}){_signature(value)}"
        for member, found in vars(value).items():
            if member == "__call__" or not member.startswith("_"):
                yield from _member(f"{name}.{member}", found)
    elif callable(value) and hasattr(value, "__module__") and not hasattr(value, "__args__"):
        yield f"{name}{_signature(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def _member(name: str, found: object) -> Iterator[str]:
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    if isinstance(found, property):
        yield f"{name}: property"
    elif inspect.isfunction(found):
        yield f"{name}{_signature(found)}"


def _signature(value: object) -> str:
    if inspect.isclass(value) and str(getattr(value.__init__, "__module__", "")).startswith("torch."):
        return ""  # PyTorch's own, which is its to change
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""
    # Objects among the defaults show their address, and annotations of strings their quotes.
    text = re.sub(r"<(?:function |class ')?([\w.]+)[^<>]*>", r"\1", text)
    return re.sub(r"""(: |-> )(["'])(.*?)\2""", r"\1\3", text)


if __name__ == "__main__":
    SNAPSHOT.write_text(surface())
