"""`esamp bench growth`: how the time of a step grows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from esamp.cli.arguments import add_sampler, sampler_parts
from esamp.cli.bench.shared import Report, add_json, bench_parser
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.distillers import distillers
from esamp.studies.figures import check_matplotlib
from esamp.studies.speed.growth import AXES, Point, bank_bytes, lines, measure_growth
from esamp.studies.speed.growth_plot import plot_growth

__all__ = ["parser", "run"]

# Of the bytes of the banks, which do not depend on a model.
_WIDTH = 576


def parser() -> Parser:
    """The options of `esamp bench growth`."""
    made = bench_parser(
        "growth",
        "Times single steps of shallow random models, with ESamp and with β = 0 in turn, while one thing grows and\n"
        "all else stands still; draws a panel for each; and holds the bytes of every distiller's bank against its\n"
        "`memory(d)`. A list of values is written with commas; an empty one leaves its axis out.",
    )
    options = made.group("measurement")
    for axis, values in AXES.items():
        shown = ",".join(map(str, values))
        options.add_argument(f"--{axis.replace('_', '-')}", type=str, default=shown, metavar="LIST", help=shown)
    options.add_argument("--steps", type=int, default=10, metavar="N", help="of each run; all but two are timed (10)")
    options.add_argument("--plot", type=str, default="runs/growth.svg", metavar="FILE", help="runs/growth.svg")
    add_json(options)
    add_sampler(made)
    return made


def run(options: Any, command: str) -> int:
    """Measure, print each point as it comes, draw, and keep what was asked to be kept."""
    values = {axis: _numbers(axis, getattr(options, axis)) for axis in AXES}
    check_matplotlib()
    report, parts, points = Report("growth", command, options.json), sampler_parts(options), list[Point]()
    found: dict[str, Any] = {}
    with quiet():
        for axis in (axis for axis in AXES if values[axis]):
            for point in measure_growth(axis, values[axis], steps=options.steps, **parts):
                points.append(point)
                report.say(
                    f"{axis} {point.value}: {1e3 * point.plain.median:.2f} ms a step plain, "
                    f"{1e3 * point.explored.median:.2f} with ESamp, {point.cpu_share:+.1%} of the processor time"
                )
            fitted = lines([point for point in points if point.axis == axis])
            found[axis] = {name: asdict(line) for name, line in fitted.items()}
            off = ", ".join(f"{line.worst:.0%} {name}" for name, line in fitted.items())
            report.say(f"{axis}: furthest from a straight line: {off}")
    memory = _memory(report)
    if points:
        plot_growth(points, Path(options.plot))
        report.say(f"picture: {options.plot}")
    settings = {"distiller": distillers.describe(parts["distiller"]), "steps": options.steps, "dtype": "float32"}
    report.write(settings, {"points": [asdict(point) for point in points], "lines": found, "memory": memory})
    return 0


# The one reads the head's answers, the other the final norm: they have no bank without a real model.
_OF_A_REAL_MODEL = ("vocabulary", "early_exit")


def _memory(report: Report) -> dict[str, dict[str, int]]:
    memory: dict[str, dict[str, int]] = {}
    for name in distillers.names():
        distiller = distillers.build(name)
        if name not in _OF_A_REAL_MODEL:
            memory[name] = {"predicted": distiller.memory(_WIDTH), "measured": bank_bytes(distiller, _WIDTH)}
            report.say(f"bytes of a prompt at d = {_WIDTH}, {name}: {memory[name]}")
    return memory


def _numbers(axis: str, text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        name = axis.replace("_", "-")
        raise ValueError(f"{name} must be whole numbers with commas between them, got {text!r}; see --help") from None
