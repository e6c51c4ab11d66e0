"""What a contract is: a sentence that every part of a zoo must satisfy, and the check of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Contract", "ContractError", "check_all", "contract", "require"]

Part = TypeVar("Part")


class ContractError(AssertionError):
    """A part does not do what every part of its zoo promises. The message names the class and the contract."""


class _BrokenError(Exception):
    """Raised by `require`; becomes a `ContractError` once the class and the contract are known."""


@dataclass(frozen=True)
class Contract(Generic[Part]):
    """One promise.

    Attributes:
        sentence: the promise in words.
        check: raises through `require` if fresh parts from `make` do not keep it.

    Examples:
        >>> def short(make) -> None:
        ...     require(len(make()) < 9, f"it has {len(make())} letters")
        >>> Contract("names are short", short)(lambda: "Ada")
        >>> Contract("names are short", short)(lambda: "Augusta Ada")
        Traceback (most recent call last):
            ...
        esamp.testing.contract.ContractError: str breaks the contract 'names are short': it has 11 letters
    """

    sentence: str
    check: Callable[[Callable[[], Part]], None]

    def __str__(self) -> str:
        return self.sentence

    def __call__(self, make: Callable[[], Part]) -> None:
        """Hold parts from `make` to the contract.

        Raises:
            ContractError: they break it, or raise something while it is checked.
        """
        name = type(make()).__name__
        try:
            self.check(make)
        except _BrokenError as broken:
            raise ContractError(f"{name} breaks the contract '{self.sentence}': {broken}") from None
        except Exception as error:
            raise ContractError(
                f"{name} breaks the contract '{self.sentence}': it raised {type(error).__name__}: {error}"
            ) from error


def contract(sentence: str) -> Callable[[Callable[[Callable[[], Part]], None]], Contract[Part]]:
    """Decorator that makes a check into a `Contract`."""
    return lambda check: Contract(sentence, check)


def require(held: bool, broken: str) -> None:
    """Inside a check: go on if the promise held, or say in which way it was broken."""
    if not held:
        raise _BrokenError(broken)


def check_all(contracts: Iterable[Contract[Part]], make: Callable[[], Part]) -> None:
    """Hold parts from `make` to every contract.

    Raises:
        ContractError: the first contract that is broken.
    """
    for each in contracts:
        each(make)
