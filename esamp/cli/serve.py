"""`esamp serve`: vLLM's OpenAI-compatible server with ESamp switched on."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, final

from typing_extensions import override

from esamp.checks import check_choice
from esamp.distillers import distillers
from esamp.engines.vllm.serving import Serving, serve
from esamp.engines.vllm.settings import Settings
from esamp.fusion import fusions
from esamp.schedulers import schedulers

__all__ = ["ServeParser", "parser", "run"]

_DESCRIPTION = """\
Starts vLLM's OpenAI-compatible server with ESamp. A request asks for it in vllm_xargs, such as
{"esamp_beta": 0.25}; a request that does not is not touched. Whatever is not listed here goes to
vLLM as it is: --port, --tensor-parallel-size, --dtype, --api-key, ..."""
_EPILOG = """\
examples:
  esamp serve smollm2-135m --port 8000
  esamp serve Qwen/Qwen3-8B --max-groups 64 --distiller low_rank --distiller-arguments '{"rank": 64}'
  esamp serve Qwen/Qwen3-8B --no-sharing --when-full refuse --tensor-parallel-size 2

vLLM's own options: python -m vllm.entrypoints.openai.api_server --help"""


@final
class _Quiet(argparse.ArgumentParser):
    """Leaves it to `esamp` to say what is wrong, in one line."""

    @override
    def error(self, message: str) -> Any:
        raise ValueError(message.replace("argument ", ""))


@final
class ServeParser:
    """Takes ESamp's options out of a command line and leaves vLLM's."""

    def __init__(self) -> None:
        self._parser = _Quiet(
            prog="esamp serve",
            usage="esamp serve MODEL [options] [vLLM's own options]",
            description=_DESCRIPTION,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._parser.add_argument("model", metavar="MODEL", help="smollm2-135m (the embedded one), or what vLLM takes")
        self._add_parts()
        self._add_room()
        group = self._parser.add_argument_group("options of vLLM that ESamp adds to")
        group.add_argument(
            "--load-format", default="auto", metavar="NAME", help="how the model is read underneath (auto)"
        )
        group.add_argument(
            "--model-loader-extra-config", type=_mapping, default={}, metavar="JSON", help="of that loader"
        )
        group.add_argument("--additional-config", type=_mapping, default={}, metavar="JSON", help="of other plugins")

    def _add_parts(self) -> None:
        group, default = self._parser.add_argument_group("exploration"), Settings
        for name, registry in {"distiller": distillers, "fusion": fusions, "scheduler": schedulers}.items():
            named = f"{', '.join(registry.names())}, or a dotted path ({getattr(default, name)})"
            group.add_argument(f"--{name}", default=getattr(default, name), metavar="NAME", help=named)
        group.add_argument(
            "--distiller-arguments", type=_mapping, default=None, metavar="JSON", help="of the distiller's constructor"
        )
        group.add_argument(
            "--warmup", type=int, default=default.warmup, metavar="N", help="updates before a distiller has a say (1)"
        )
        group.add_argument(
            "--filtering",
            default="post-filter",
            metavar="ORDER",
            help="post-filter: filter the model's own logits, then fuse; pre-filter: fuse first (post-filter)",
        )

    def _add_room(self) -> None:
        group, default = self._parser.add_argument_group("room"), Settings
        for name, text in {
            "max-groups": "groups at a time; each has a distiller in memory",
            "max-lanes": "samples of a group at a time",
            "idle-steps": "steps of the engine after which an unused group is forgotten",
        }.items():
            value = getattr(default, name.replace("-", "_"))
            group.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"{text} ({value})")
        group.add_argument(
            "--when-full",
            default="without",
            metavar="WHAT",
            help="without: serve a request that finds no room without ESamp; refuse: answer 503 (without)",
        )
        group.add_argument(
            "--no-sharing", action="store_true", help="refuse esamp_group: no two requests share a distiller"
        )

    def parse(self, argv: Sequence[str]) -> Serving:
        """The server that is meant.

        Raises:
            TypeError, ValueError: an option of ESamp is wrong.
        """
        if argv and argv[0].startswith("-") and not {"-h", "--help"} & {*argv}:
            # Whether what follows an option of vLLM belongs to it, only vLLM knows.
            raise ValueError(f"MODEL must come first, got {argv[0]!r}; esamp serve MODEL [options]")
        options, rest = self._parser.parse_known_args(argv)
        for taken in ("--logits-processors", "--worker-extension-cls"):
            if any(word.partition("=")[0] == taken for word in rest):
                raise ValueError(f"{taken} is set by `esamp serve`; leave it out")
        settings = Settings(
            distiller=options.distiller,
            distiller_arguments=options.distiller_arguments,
            fusion=options.fusion,
            scheduler=options.scheduler,
            warmup=options.warmup,
            prefilter=check_choice("filtering", options.filtering, ("post-filter", "pre-filter")) == "pre-filter",
            max_groups=options.max_groups,
            max_lanes=options.max_lanes,
            idle_steps=options.idle_steps,
        )
        return Serving(
            options.model,
            settings,
            sharing=not options.no_sharing,
            refuse=check_choice("when-full", options.when_full, ("without", "refuse")) == "refuse",
            load_format=options.load_format,
            additional_config=options.additional_config,
            loader_config=options.model_loader_extra_config,
            options=rest,
        )


def parser() -> ServeParser:
    """The options of `esamp serve`."""
    return ServeParser()


def run(serving: Serving) -> int:
    """Serve until stopped."""
    print(f"ESamp: {serving.settings.describe()}", file=sys.stderr)
    serve(serving)
    return 0


def _mapping(text: str) -> dict[str, Any]:
    try:
        loaded = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a JSON object, got {text!r}: {error}") from error
    if not isinstance(loaded, dict):
        raise argparse.ArgumentTypeError(f"must be a JSON object, got {text!r}")
    return loaded
