"""Measurements as Markdown tables: a row for each record, with the command that made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from esamp.studies.speed.record import Record, read_records

__all__ = ["TABLES", "profile_table", "render", "write_tables"]

_NOTHING = "Nothing has been measured yet."
_ESAMP = ("predict", "candidate head", "learn")


def overhead_table(records: Sequence[Record]) -> str:
    """What ESamp adds."""
    head = ["model", "distiller", "prompts × n", "loss of tokens/s", "time added", "processor time added", "pairs"]
    return _table(head, [_overhead_row(record) for record in records], records)


def generate_table(records: Sequence[Record]) -> str:
    """Against `model.generate`."""
    head = [
        "model",
        "processor",
        "distiller",
        "prompts × n",
        "tokens/s, ours",
        "tokens/s, generate",
        "ratio",
        "peak MB, ours",
    ]
    return _table([*head, "peak MB, generate"], [_generate_row(record) for record in records], records)


def growth_table(records: Sequence[Record]) -> str:
    """How far the steps' times are from straight lines, and the bytes of the banks."""
    parts: list[str] = []
    for record in records:
        lines = record.result["lines"]
        rows = [
            [axis, *(_line(of[name]) for name in ("plain", "explored")), _ends(record, axis)]
            for axis, of in lines.items()
        ]
        head = ["axis", "plain, furthest from its line", "with ESamp", "time added, first … last value"]
        parts.append(f"`{record.settings['distiller']}`:\n\n" + _table(head, rows, [record], once=True))
    if records:
        memory = records[-1].result["memory"]
        rows = [[name, f"{of['predicted']:,}", f"{of['measured']:,}"] for name, of in memory.items()]
        parts.append(_rows(["distiller", "bytes a prompt, as `memory(576)` says", "as measured"], rows))
    return "\n\n".join(parts) or _NOTHING


def profile_tables(records: Sequence[Record]) -> str:
    """The parts of a step, a table for each record."""
    parts = [
        f"{_workload(record)}, `{record.settings['distiller']}`, {record.settings['model']}:\n\n"
        f"{profile_table(record.result)}\n\n{_made(record)}"
        for record in records
    ]
    return "\n\n".join(parts) or _NOTHING


def profile_table(result: dict[str, Any]) -> str:
    """The parts of a step with β = 0 and with ESamp, in milliseconds and as shares of the step, beside the floors."""
    plain, explored, floors = result["plain"], result["explored"], result["floors"]
    head = ["part", "ms, β = 0", "ms, with ESamp", "adds, of the step with β = 0", "floor, ms"]
    rows = [
        [
            meaning,
            *(f"{1e3 * arm['seconds'][part]:.3f}" for arm in (plain, explored)),
            f"{(explored['seconds'][part] - plain['seconds'][part]) / plain['step']:+.2%}",
            f"{1e3 * floors[part]:.3f}" if part in floors else "",
        ]
        for part, meaning in result["parts"].items()
    ]
    added = explored["step"] / plain["step"] - 1
    least = sum(floors.get(part, 0.0) for part in _ESAMP)
    total = [f"{1e3 * arm['step']:.3f}" for arm in (plain, explored)]
    rows.append(["**the step**", *total, f"{added:+.2%}", f"{1e3 * (floors['LLM'] + least):.3f}" if floors else ""])
    text = _rows(head, rows)
    if floors:
        share = least / floors["LLM"]
        own = sum(explored["seconds"][part] for part in _ESAMP) / plain["step"]
        text += (
            f"\n\nBy bytes and operations ESamp is {share:.2%} of the LLM's step; prediction, candidate head and "
            f"update take {own:.2%} of it, {own / share:.2f} times as much."
        )
    return text


TABLES: dict[str, Callable[[Sequence[Record]], str]] = {
    "overhead": overhead_table,
    "generate": generate_table,
    "growth": growth_table,
    "profile": profile_tables,
}
"""By bench."""


def render(folder: Path) -> dict[str, str]:
    """The table of each bench from the records in a folder.

    Raises:
        ValueError: a JSON file in it is no record.
    """
    return {bench: table(read_records(folder, bench)) for bench, table in TABLES.items()}


def write_tables(folder: Path) -> list[Path]:
    """Write each table beside the records, as `BENCH.md`; the paths.

    Raises:
        ValueError: a JSON file in the folder is no record.
    """
    written: list[Path] = []
    for bench, text in render(folder).items():
        written.append(folder / f"{bench}.md")
        written[-1].write_text(text + "\n")
    return written


def _overhead_row(record: Record) -> list[str]:
    result = record.result
    return [
        _model(record),
        _parts(record) if record.settings["beta"] else "none: β = 0 on both sides",
        _workload(record),
        f"{result['loss']:+.2%}",
        _percent(result["wall_share"]),
        _percent(result["cpu_share"]),
        f"{len(result['plain']['wall'])} of {result['unit']}s",
    ]


def _parts(record: Record) -> str:
    """The distiller, and the scheduler where work runs beside the loop."""
    distiller, scheduler = (record.settings[name] for name in ("distiller", "scheduler"))
    return distiller if scheduler == "SynchronousScheduler" else f"{distiller}, {scheduler}"


def _generate_row(record: Record) -> list[str]:
    result, memory = record.result, record.result["memory"]
    speeds = (f"{result[side]['tokens_per_second']:.1f}" for side in ("ours", "theirs"))
    peaks = (f"{memory[side]['peak'] / 1e6:,.0f}" if memory else "" for side in ("ours", "theirs"))
    ratio = result["speedup"]
    workload = _workload(record) + (", ragged" if record.settings["ragged"] else "")
    told = f"{ratio['median']:.2f} ({ratio['low']:.2f} … {ratio['high']:.2f})"
    where = record.computer.gpu or record.computer.cpu
    return [_model(record), where, record.settings["distiller"], workload, *speeds, told, *peaks]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], records: Sequence[Record], once: bool = False) -> str:
    """Rows, then the commands and the machines that made them; an empty table says that it is one."""
    if not records:
        return f"{_rows(head, [])}\n\n{_NOTHING}"
    made = [_made(records[0])] if once else [_made(record) for record in records]
    return f"{_rows(head, rows)}\n\n" + "\n".join(made)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _made(record: Record) -> str:
    load = "" if record.computer.load is None else f", load {record.computer.load:.1f}"
    return f"- `{record.command}` ({record.date[:10]}; {record.computer.describe()}{load})"


def _model(record: Record) -> str:
    settings = record.settings
    # Records from before there was a choice do not name it.
    return f"{settings['model']}, {settings['dtype']}{', compiled' if settings.get('compiled') else ''}"


def _workload(record: Record) -> str:
    settings = record.settings
    return f"{settings['prompts']}×{settings['n']}, {settings['max_new_tokens']} tokens"


def _percent(spread: dict[str, float]) -> str:
    return f"{spread['median']:+.2%} ({spread['low']:+.2%} … {spread['high']:+.2%})"


def _line(line: dict[str, float]) -> str:
    return f"{line['worst']:.0%}"


def _ends(record: Record, axis: str) -> str:
    shares = [point["share"]["median"] for point in record.result["points"] if point["axis"] == axis]
    return f"{shares[0]:+.1%} … {shares[-1]:+.1%}"
