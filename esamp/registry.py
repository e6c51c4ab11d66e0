"""Names of parts: `registry.build("mlp")` and its friendly errors."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from esamp.checks import check_choice

__all__ = ["Registry", "spelled"]

Part = TypeVar("Part")
Kind = TypeVar("Kind", bound=type[Any])


class Registry(Generic[Part]):
    """The named parts of one zoo.

    A part is asked for by an instance, a class, a registry name (`"mlp"`), a class name (`"MLPDistiller"`)
    or a dotted path (`"my_package.MyDistiller"`).

    Examples:
        >>> from esamp.distillers import distillers
        >>> distillers.resolve("linear").__name__, distillers.build("LinearDistiller").optimizer.lr
        ('LinearDistiller', 0.001)
        >>> distillers.build("my.Own")
        Traceback (most recent call last):
            ...
        ValueError: distiller 'my.Own' cannot be imported: No module named 'my'; give an importable dotted path
    """

    def __init__(self, kind: str, base: type[Part]) -> None:
        self.kind = kind
        self.base = base
        self._classes: dict[str, type[Part]] = {}

    def register(self, name: str) -> Callable[[Kind], Kind]:
        """Class decorator that files a part under `name`.

        Raises:
            ValueError: the name is taken by another class.
        """

        def file(cls: Kind) -> Kind:
            filed: Any = cls  # the decorator gives the class back as what it is, not as a part of the zoo
            if self._classes.setdefault(name, filed) is not cls:
                raise ValueError(
                    f"{self.kind} name {name!r} is taken by {self._classes[name].__name__}; choose another"
                )
            return cls

        return file

    def names(self) -> list[str]:
        """All registry names, sorted."""
        return sorted(self._classes)

    def name_of(self, part: Part) -> str:
        """The registry name of a part's class, or its class name where it has none."""
        return next((name for name, cls in self._classes.items() if cls is type(part)), type(part).__name__)

    def describe(self, part: Part) -> str:
        """The same, with those of its arguments that are plain values and not the default: `mlp(width=64)`.

        An argument is looked for under its own name among the part's attributes.
        """
        defaults = inspect.signature(type(part)).parameters
        said = [f"{name}={value!r}" for name, value in _arguments(part).items() if value != defaults[name].default]
        return self.name_of(part) + (f"({', '.join(said)})" if said else "")

    def resolve(self, name: str) -> type[Part]:
        """The class behind a registry name, a class name or a dotted path.

        Raises:
            ValueError: nothing goes by that name (the message lists the nearest ones), or it is no such part.
        """
        by_class_name = {cls.__name__: cls for cls in self._classes.values()}
        if name in self._classes:
            return self._classes[name]
        if name in by_class_name:
            return by_class_name[name]
        if "." in name and all(word.isidentifier() for word in name.split(".")):
            return self._check_class(_import(self.kind, name), name)
        check_choice(self.kind, name, [*self._classes, *by_class_name])
        raise AssertionError("unreachable: check_choice raises")

    def build(self, part: Part | type[Part] | str) -> Part:
        """An instance: of the named class with its defaults, or `part` itself where it is one already.

        Raises:
            TypeError: `part` is neither an instance nor a class of this kind, nor a name.
            ValueError: nothing goes by that name.
        """
        if isinstance(part, str):
            return self.resolve(part)()
        if isinstance(part, type):
            return self._check_class(part, part.__name__)()
        if isinstance(part, self.base):
            return part
        names = ", ".join(self.names())
        raise TypeError(f"{self.kind} must be a {self.base.__name__}, its class or one of {names}, got {part!r}")

    def _check_class(self, found: object, name: str) -> type[Part]:
        if inspect.isclass(found) and issubclass(found, self.base) and not inspect.isabstract(found):
            return found
        raise ValueError(f"{self.kind} {name!r} is not a concrete subclass of {self.base.__name__}, but {found!r}")


def spelled(part: object) -> str:
    """A part's class and its arguments that `describe` looks for, those that are the default too: for a record.

    >>> from esamp.distillers import RecursiveLeastSquaresDistiller
    >>> spelled(RecursiveLeastSquaresDistiller(ridge=1.0))
    'RecursiveLeastSquaresDistiller(features=64, ridge=1.0, forgetting=1.0, seed=0)'
    """
    said = [f"{name}={value!r}" for name, value in _arguments(part).items()]
    return f"{type(part).__name__}({', '.join(said)})"


def _arguments(part: object) -> dict[str, bool | int | float | str]:
    """The arguments of a part that are plain values, each under its own name among the attributes."""
    values = {name: getattr(part, name, None) for name in inspect.signature(type(part)).parameters}
    return {name: value for name, value in values.items() if isinstance(value, bool | int | float | str)}


def _import(kind: str, path: str) -> object:
    module, _, attribute = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{kind} {path!r} cannot be imported: {error}; give an importable dotted path") from error
