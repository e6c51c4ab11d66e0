"""The page on configuration: every argument, option and key that there is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import docstring_parser

from esamp.cli.spelling import PARTS
from esamp.registry import Registry
from esamp.sampler import ESampSampler
from esamp.samplers import samplers
from esamp.tasks import tasks

__all__ = ["STUDY_KEYS", "configuration"]

_HEAD = """\
# Configuration

<!-- Made by `make pages` from signatures and docstrings; do not edit. -->

Everything can be set in three places under one name: as a keyword in Python, as an option with hyphens for underscores
on the [command line](command-line.md), and as a key in YAML (`--config`, or an arm of a study). `--print_config` prints
a whole file of what is set.

A part goes by registry name, class name or dotted path. Its own arguments follow a dot on the command line and stand
among `init_args` in YAML:

```sh
esamp generate "Tell me a joke" --distiller low_rank --distiller.rank 32
```

```yaml
distiller: {class_path: low_rank, init_args: {rank: 32}}
```
"""

STUDY_KEYS = {
    "model": ("`smollm2-135m`", "as in `ESampSampler.from_pretrained`: embedded name, folder, or hub id"),
    "dtype": ("`auto`", "of the weights; auto is the checkpoint's own"),
    "engine": ("`huggingface`", "what runs the model; or `vllm`"),
    "engine_options": ("`{}`", "of `vllm.LLM`, such as `tensor_parallel_size`"),
    "tasks": ("required", "a list of names, or names with settings"),
    "limit": ("all", "the first problems of each task"),
    "n": ("16", "samples of each problem"),
    "seeds": ("`[0]`", "the whole study once for each"),
    "max_new_tokens": ("the task's", "longest sample, in tokens"),
    "batch_size": ("8", "problems decoded together, and the unit in which a run is kept"),
    "temperatures": ("`[0.6, 0.8, 1.0, 1.2, 1.4]`", "of plain sampling, the line to beat; `[]`: none"),
    "common": ("`{}`", "settings of every arm; of plain sampling, those that say what may be drawn"),
    "grid": ("`{}`", "lists of values, whose every combination is an arm"),
    "arms": ("`{}`", "settings by the name of the arm"),
}
"""Default and meaning of each key of a study's file."""

_STUDY = """\
## A study

`esamp eval` and `esamp ablate` read a YAML file with these keys; [Evaluate](../evaluate.md) says what may stand in an
arm.

| key | default | what it says |
|---|---|---|
"""

_FROM = """\
`ESampSampler.from_pretrained(model, dtype="auto", device=None, ...)` takes the keywords below, and the name of a model
instead of the model.
"""


def configuration() -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD,
            "## The sampler\n",
            _FROM,
            _arguments(ESampSampler, ESampSampler.__init__),
            "## A call of `generate`\n",
            _arguments(ESampSampler.generate, ESampSampler.generate),
            _STUDY + "".join(f"| `{key}` | {default} | {said} |\n" for key, (default, said) in STUDY_KEYS.items()),
            "## The parts and their arguments\n",
            "Each as `name(argument=default, ...)`; the classes' own pages say what the arguments do.\n",
            *_zoos(),
        ]
    )


def _arguments(documented: Any, signature: Any) -> str:
    """A table of the arguments that a docstring describes."""
    said = {each.arg_name: each.description for each in docstring_parser.parse(inspect.getdoc(documented) or "").params}
    lines = ["| argument | default | what it says |", "|---|---|---|"]
    for name, parameter in inspect.signature(signature).parameters.items():
        if name != "self":
            default = "required" if parameter.default is parameter.empty else f"`{_value(parameter.default)}`"
            lines.append(f"| `{name}` | {default} | {_cell(said[name] or '')} |")
    return "\n".join([*lines, ""])


def _zoos() -> Iterator[str]:
    """A table for each registry that a user names parts of."""
    zoos: dict[str, Registry[Any]] = {name: registry for name, registry in PARTS.items() if name != "domains"}
    for kind, registry in {**zoos, "sampler": samplers, "task": tasks}.items():
        yield f"### {kind}\n"
        yield "\n".join(
            ["| name | what it is |", "|---|---|", *(_part(registry, name) for name in registry.names()), ""]
        )


def _part(registry: Registry[Any], name: str) -> str:
    cls = registry.resolve(name)
    given = [
        parameter.name if parameter.default is parameter.empty else f"{parameter.name}={_value(parameter.default)}"
        for parameter in inspect.signature(cls).parameters.values()
        if parameter.name not in ("model", "tokenizer")
    ]
    summary = docstring_parser.parse(inspect.getdoc(cls) or "").short_description or ""
    return f"| [`{name}({', '.join(given)})`][{cls.__module__}.{cls.__qualname__}] | {_cell(summary)} |"


def _value(default: Any) -> str:
    """A default as Python has it; a function by its name, without its address."""
    return default.__name__ if inspect.isfunction(default) else repr(default)


def _cell(text: str) -> str:
    """A text of several lines in one cell of a table."""
    return " ".join(text.split()).replace("|", r"\|")
