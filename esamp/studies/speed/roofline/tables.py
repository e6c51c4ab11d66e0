"""The derivation as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from esamp.distillers import (
    Distiller,
    HierarchicalDistiller,
    LinearDistiller,
    LowRankDistiller,
    MLPDistiller,
    RecursiveLeastSquaresDistiller,
)
from esamp.studies.speed.roofline.distillers import candidate_head, esamp_step, floors
from esamp.studies.speed.roofline.machines import CPU_CORE, H100, RTX_4090, Machine, Work
from esamp.studies.speed.roofline.models import (
    LLAMA_70B,
    QWEN_8B,
    SMOLLM_135M,
    Batch,
    Model,
    decode_step,
    devices_needed,
)
from esamp.studies.speed.roofline.paper import paper_table

__all__ = ["BATCHES", "DISTILLERS", "SETTINGS", "all_tables", "memory_table", "part_table", "share_table"]

BATCHES = (Batch(1, 1), Batch(1, 16), Batch(8, 16), Batch(32, 16))
"""Prompts and samples of the tables."""

DISTILLERS: dict[str, Distiller] = {
    "recursive least squares": RecursiveLeastSquaresDistiller(),
    "low-rank 64": LowRankDistiller(),
    "the paper's MLP": MLPDistiller(),
    "linear": LinearDistiller(),
    "hierarchical": HierarchicalDistiller(),
}
"""Each at its defaults."""

SETTINGS: tuple[tuple[Model, Machine], ...] = (
    (SMOLLM_135M, CPU_CORE),
    (QWEN_8B, RTX_4090),
    (QWEN_8B, H100),
    (LLAMA_70B, RTX_4090),
    (LLAMA_70B, H100),
)
"""Models, and what they run on."""

# Of a kernel within a CUDA graph. An assumption, which the tables keep in a column of its own.
LAUNCH, LAUNCHES = 2e-6, 10


def share_table(model: Model, machine: Machine) -> str:
    """The LLM's step and what each distiller adds to it, a column for each batch."""
    devices = devices_needed(model, machine)
    steps = [machine.seconds(decode_step(model, batch) / devices) for batch in BATCHES]
    lines = [
        f"| {_name(model, machine)} | " + " | ".join(f"{batch.prompts}×{batch.n}" for batch in BATCHES) + " |",
        "|---" * (len(BATCHES) + 1) + "|",
        "| LLM, ms a step | " + " | ".join(_milliseconds(step) for step in steps) + " |",
    ]
    for name, distiller in DISTILLERS.items():
        shares = [_share(distiller, model, machine, batch, step) for batch, step in zip(BATCHES, steps, strict=True)]
        lines.append(f"| {name} | " + " | ".join(f"+{share:.2%}" for share in shares) + " |")
    if machine is not CPU_CORE:
        launched = " | ".join(f"+{LAUNCHES * LAUNCH / step:.2%}" for step in steps)
        lines.append(f"| each {LAUNCHES} launches of {LAUNCH * 1e6:.0f} µs more | {launched} |")
    return "\n".join(lines)


def part_table(model: Model, machine: Machine, batch: Batch) -> str:
    """Of one batch, each part's bytes, operations and share of the LLM's step."""
    devices = devices_needed(model, machine)
    step = decode_step(model, batch) / devices
    seconds = machine.seconds(step)
    lines = [
        f"| {_name(model, machine)}, {batch.prompts}×{batch.n} | MB | GFLOP | ms | share | bound by |",
        "|---|---|---|---|---|---|",
        _part("LLM", step, machine, seconds),
    ]
    for name, distiller in DISTILLERS.items():
        for part, work in esamp_step(distiller, model, batch).items():
            if part != "candidate head":
                lines.append(_part(f"{name}: {part}", work, machine, seconds))
    lines.append(_part("candidate head, of each", candidate_head(model, batch), machine, seconds))
    return "\n".join(lines)


def memory_table(widths: Mapping[str, int]) -> str:
    """Megabytes of state of one prompt, as `Distiller.memory` says; columns are hidden sizes by their names."""
    lines = ["| MB a prompt | " + " | ".join(widths) + " |", "|---" * (len(widths) + 1) + "|"]
    for name, distiller in DISTILLERS.items():
        sizes = " | ".join(f"{floors(distiller, d, 1, 1).state / 1e6:.2f}" for d in widths.values())
        lines.append(f"| {name} | {sizes} |")
    return "\n".join(lines)


def all_tables(settings: Sequence[tuple[Model, Machine]] = SETTINGS) -> dict[str, str]:
    """Every table of the page, by its name there."""
    tables = {"shares": "\n\n".join(share_table(model, machine) for model, machine in settings)}
    tables["parts"] = part_table(QWEN_8B, H100, BATCHES[2])
    tables["memory"] = memory_table({f"d = {model.d}": model.d for model in (SMOLLM_135M, QWEN_8B, LLAMA_70B)})
    tables["paper"] = paper_table()
    return tables


def _name(model: Model, machine: Machine) -> str:
    devices = devices_needed(model, machine)
    return f"{model.name} on {machine.name if devices == 1 else f'{devices} × {machine.name}'}"


def _share(distiller: Distiller, model: Model, machine: Machine, batch: Batch, step: float) -> float:
    return sum(machine.seconds(work) for work in esamp_step(distiller, model, batch).values()) / step


def _part(name: str, work: Work, machine: Machine, step: float) -> str:
    moving = work.bytes / machine.bandwidth
    seconds = machine.seconds(work)
    bound = "memory" if moving >= seconds else "arithmetic"
    operations = (work.half + work.single) / 1e9
    return (
        f"| {name} | {work.bytes / 1e6:,.0f} | {operations:,.1f} | {_milliseconds(seconds)} | "
        f"{seconds / step:.2%} | {bound} |"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if seconds >= 1e-5 else f"{seconds * 1e3:.4f}"
