"""A part is found by instance, class, name, class name or dotted path; anything else is refused with the way out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import pytest

from esamp.distillers import Distiller, MLPDistiller, RecursiveLeastSquaresDistiller, distillers
from esamp.draws import InTurnDraw, draws
from esamp.fusion import BetaMix, fusions
from esamp.registry import Registry
from esamp.schedulers import SynchronousScheduler, schedulers


class Animal(ABC):
    @abstractmethod
    def legs(self) -> int: ...


class Dog(Animal):
    def legs(self) -> int:
        return 4


class Bird(Animal):
    def legs(self) -> int:
        return 2


class Stranger:
    pass


@pytest.fixture
def animals() -> Registry[Animal]:
    registry: Registry[Animal] = Registry("animal", Animal)
    registry.register("dog")(Dog)
    return registry


@pytest.mark.parametrize(
    "part", [Dog(), Dog, "dog", "Dog", f"{__name__}.Dog"], ids=["object", "class", "name", "its class", "path"]
)
def test_a_part_is_built_from_whatever_names_it(animals: Registry[Animal], part: Any) -> None:
    assert isinstance(animals.build(part), Dog)


def test_an_instance_is_taken_as_it_is(animals: Registry[Animal]) -> None:
    bird = Bird()
    assert animals.build(bird) is bird


def test_a_class_that_is_not_registered_is_built_too(animals: Registry[Animal]) -> None:
    assert isinstance(animals.build(Bird), Bird)


def test_a_dotted_path_needs_no_registration() -> None:
    assert fusions.resolve("esamp.fusion.beta_mix.BetaMix") is BetaMix


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("dgo", r"animal must be one of Dog, dog, got 'dgo'; did you mean 'dog'"),
        ("", "animal must be one of Dog, dog, got ''"),
        (
            "no.such.Module",
            r"'no.such.Module' cannot be imported: No module named 'no'; give an importable dotted path",
        ),
        ("esamp.fusion.Nothing", "cannot be imported: .*Nothing"),
        ("esamp.fusion.BetaMix", "is not a concrete subclass of Animal"),
        ("esamp.fusion.fusions", "is not a concrete subclass of Animal"),
        (Animal, "'Animal' is not a concrete subclass of Animal"),
        (Stranger, "'Stranger' is not a concrete subclass of Animal"),
    ],
    ids=str,
)
def test_what_is_no_part_is_refused_by_value(animals: Registry[Animal], part: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        animals.build(part)


@pytest.mark.parametrize("part", [Stranger(), 7, None])
def test_an_instance_of_something_else_is_a_type_error(part: Any) -> None:
    with pytest.raises(TypeError, match=r"fusion|part"):
        fusions.build(part)


def test_names_are_sorted_and_known_to_their_parts(animals: Registry[Animal]) -> None:
    animals.register("bird")(Bird)
    assert animals.names() == ["bird", "dog"]
    assert animals.name_of(Dog()) == "dog"


def test_an_unregistered_part_goes_by_its_class_name(animals: Registry[Animal]) -> None:
    assert animals.name_of(Bird()) == "Bird"


def test_a_name_is_given_once(animals: Registry[Animal]) -> None:
    assert animals.register("dog")(Dog) is Dog
    with pytest.raises(ValueError, match="animal name 'dog' is taken by Dog; choose another"):
        animals.register("dog")(Bird)


def test_the_zoos_know_the_papers_parts() -> None:
    assert isinstance(distillers.build("mlp"), MLPDistiller)
    assert isinstance(fusions.build("beta_mix"), BetaMix)
    assert isinstance(schedulers.build("synchronous"), SynchronousScheduler)


@pytest.mark.parametrize("registry", [distillers, fusions, schedulers], ids=lambda registry: registry.kind)
def test_every_registered_part_can_be_made_without_arguments(registry: Registry[Any]) -> None:
    assert len(registry.names()) > 0
    for name in registry.names():
        assert registry.name_of(registry.build(name)) == name
        assert registry.describe(registry.build(name)) == name


def test_a_description_says_the_arguments_that_were_given() -> None:
    assert distillers.describe(RecursiveLeastSquaresDistiller(features=128)) == "recursive_least_squares(features=128)"
    assert draws.describe(InTurnDraw(gain=2.0, prior=0.5)) == "in_turn(gain=2.0, prior=0.5)"


def test_the_abstract_class_of_a_zoo_is_no_part() -> None:
    with pytest.raises(ValueError, match="'Distiller' is not a concrete subclass of Distiller"):
        distillers.build(Distiller)
