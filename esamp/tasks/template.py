"""Prompt templates: data in YAML files, with places for a problem's fields and nothing that runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from esamp.checks import check_choice, check_flag, check_integer
from esamp.engines.text import Prompt

__all__ = ["Template", "read_template"]

_SHIPPED = Path(__file__).parent / "templates"
_KEYS = ("prompt", "chat", "stop", "max_new_tokens", "system", "answer", "examples")
# Two braces: one is what LaTeX's \boxed{} and Python's dicts are written with.
_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Template:
    """How a problem's fields become a prompt.

    Attributes:
        prompt: text with places `{{field}}`.
        chat: the prompt goes through the model's chat template.
        stop: strings that end a sample.
        max_new_tokens: longest sample, unless a study says otherwise.
        system: system message of a chat.
        answer: text with places, what an example's answer looks like.
        examples: fields of solved problems, shown before the one to be solved.
        where: it came from, for errors.
    """

    prompt: str
    chat: bool = False
    stop: Sequence[str] = ()
    max_new_tokens: int = 128
    system: str = ""
    answer: str = ""
    examples: Sequence[Mapping[str, str]] = ()
    where: str = "template"

    def render(self, fields: Mapping[str, str]) -> Prompt:
        """The prompt of a problem: text, or messages where a chat has a system message or examples.

        Raises:
            ValueError: the template has a place for a field that the problem does not have.
        """
        shown = [(self._fill(self.prompt, each), self._fill(self.answer, each)) for each in self.examples]
        asked = self._fill(self.prompt, fields)
        if not self.chat:
            return "".join(question + answer for question, answer in shown) + asked
        if not shown and not self.system:
            return asked
        messages = [("system", self.system)] if self.system else []
        for question, answer in shown:
            messages += [("user", question), ("assistant", answer)]
        return [{"role": role, "content": content} for role, content in [*messages, ("user", asked)]]

    def _fill(self, text: str, fields: Mapping[str, str]) -> str:
        def value(place: re.Match[str]) -> str:
            if place[1] not in fields:
                known = ", ".join(f"{{{{{name}}}}}" for name in fields)
                raise ValueError(f"{self.where}: no field is called {place[0]}; there are {known}")
            return fields[place[1]]

        # In one pass: braces in a problem's own text are text.
        return _PLACE.sub(value, text)


def read_template(family: str, name: str | Path) -> Template:
    """The template of a file, or a shipped one.

    Args:
        family: folder of the shipped templates that fit the task.
        name: of a shipped one, such as "few_shot"; or a YAML file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no shipped template has that name, or the file is no template.
    """
    chosen = Path(name)
    if chosen.suffix in (".yaml", ".yml"):
        if not chosen.is_file():
            raise FileNotFoundError(
                f"template must be a YAML file or a shipped name, and there is no file {str(name)!r}"
            )
        return _parse(chosen)
    known = [each.stem for each in (_SHIPPED / family).glob("*.yaml")]
    return _parse(_SHIPPED / family / f"{check_choice('template', str(chosen), known)}.yaml")


def _parse(file: Path) -> Template:
    try:
        loaded: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"template {str(file)!r} is no YAML: {error}") from error
    if not isinstance(loaded, Mapping) or not isinstance(loaded.get("prompt"), str):
        raise ValueError(f"template {str(file)!r} must hold the key 'prompt' with a text")
    for key in cast(Mapping[Any, Any], loaded):
        check_choice(f"a key of the template {str(file)!r}", key, _KEYS)
    where = f"template {file.name}"
    return Template(
        prompt=loaded["prompt"],
        chat=check_flag(f"{where}: chat", loaded.get("chat", False)),
        stop=_texts(where, "stop", loaded),
        max_new_tokens=check_integer(f"{where}: max_new_tokens", loaded.get("max_new_tokens", 128), low=1),
        system=_text(where, "system", loaded),
        answer=_text(where, "answer", loaded),
        examples=_examples(where, loaded),
        where=where,
    )


def _text(where: str, key: str, loaded: Mapping[str, Any]) -> str:
    value = loaded.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{where}: {key} must be a text, got {value!r}")
    return value


def _texts(where: str, key: str, loaded: Mapping[str, Any]) -> list[str]:
    value = loaded.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in cast(list[Any], value)):
        raise ValueError(f"{where}: {key} must be a list of texts, got {value!r}")
    return cast(list[str], value)


def _examples(where: str, loaded: Mapping[str, Any]) -> list[dict[str, str]]:
    value = loaded.get("examples", [])
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in cast(list[Any], value)):
        raise ValueError(f"{where}: examples must be a list of objects with the fields as keys, got {value!r}")
    return [{str(key): str(field) for key, field in each.items()} for each in cast(list[Any], value)]
