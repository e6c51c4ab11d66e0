"""Time the kernels on the GPU at hand: against floors, eager PyTorch, and vLLM's LoRA kernels if it is installed.

    python benchmarks/gpu.py [--d 4096 --inner 384 --slots 8 --lanes 16 --replays 50 --out runs/gpu.json]

Each figure is the median of replays of a CUDA graph of the whole half of a step, with a cache-sized buffer overwritten
in between, so that no weight is found in the L2 cache. The floor is the bytes that must move over a measured copy
bandwidth. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.pop("TRITON_INTERPRET", None)
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

import torch

from esamp.distillers import MLPDistiller
from esamp.distillers.fused import FusedDistiller
from esamp.kernels.candidate_filter import reference as candidate_filter
from esamp.kernels.candidate_head import reference as head
from esamp.kernels.grouped_mlp.reference import gated_blocks
from esamp.kernels.layout import Grid
from esamp.kernels.trial import Sizes, Trial

_FLUSH = 256 << 20


class Clock:
    """Median milliseconds of work in a CUDA graph, with cold caches."""

    def __init__(self, replays: int) -> None:
        self.replays = replays
        self.flush = torch.empty(_FLUSH, dtype=torch.int8, device="cuda")

    def time(self, work: Callable[[], object]) -> float:
        """Warm up on a side stream, as graphs want it, capture, and replay."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return self._median(graph.replay)

    def time_eager(self, work: Callable[[], object]) -> float:
        """For work that waits for the host, which no graph can hold."""
        for _ in range(3):
            work()
        return self._median(work)

    def _median(self, run: Callable[[], object]) -> float:
        times = []
        for _ in range(self.replays):
            self.flush.zero_()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end))
        return statistics.median(times)


def bandwidth(clock: Clock) -> float:
    """Bytes a millisecond of a large copy, read and written."""
    source = torch.empty(_FLUSH, dtype=torch.int8, device="cuda")
    target = torch.empty_like(source)
    return 2 * _FLUSH / clock.time(lambda: target.copy_(source))


def eager_prediction(trial: Trial) -> Callable[[], object]:
    """The references in a row."""
    sizes, grid = trial.sizes, Grid(trial.slot, trial.sizes.slots, trial.sizes.lanes)

    def work() -> object:
        ids, z, mask, _, _ = candidate_filter.min_p_candidates(trial.logits, trial.heat, 0.05, sizes.width)
        predicted = grid.gather(gated_blocks(grid.scatter(trial.shallow), trial.gate_up, trial.down))
        mixed = head.mix(head.logits(predicted, trial.head, ids, mask), mask, z, trial.beta, None, trial.heat)
        return head.draw(mixed, mask, ids, 7, trial.sample, trial.step)

    return work


def eager_learning(trial: Trial) -> Callable[[], object]:
    """The distiller with autograd."""
    sizes = trial.sizes
    mlp = MLPDistiller(width=sizes.inner, blocks=sizes.blocks)
    mlp.setup(sizes.d, sizes.slots, "cuda")
    grid = Grid(trial.slot, sizes.slots, sizes.lanes)
    lesson = [grid.scatter(value) for value in (trial.shallow, trial.deep, trial.alive)]

    def work() -> object:
        return super(FusedDistiller, mlp).learn(*lesson)

    return work


def vllm_lora(trial: Trial) -> tuple[Callable[[], object], int] | None:
    """LoRA shrink and expand of vLLM at the distiller's sizes, and the bytes of their weights; None without vLLM."""
    if importlib.util.find_spec("vllm") is None:
        return None
    from vllm.lora.ops.triton_ops import LoRAKernelMeta, lora_expand, lora_shrink

    sizes, kind = trial.sizes, torch.bfloat16
    x = trial.shallow.to(kind)
    rank = min(2 * sizes.inner, 256)  # the largest that vLLM's kernels are built for
    a = torch.randn(sizes.slots, 1, rank, sizes.d, device="cuda", dtype=kind)
    b = torch.randn(sizes.slots, 1, sizes.d, rank, device="cuda", dtype=kind)
    meta = LoRAKernelMeta.make(sizes.slots, sizes.rows, device="cuda")
    meta.prepare_tensors(trial.slot.to(torch.int32))
    # Newer releases also ask whether to specialise on the number of active adapters.
    asked = (sizes.rows, False)[: len(inspect.signature(meta.meta_args).parameters)]
    middle = torch.zeros(1, sizes.rows, rank, device="cuda", dtype=torch.float32)
    out = torch.zeros(sizes.rows, sizes.d, device="cuda", dtype=kind)

    def work() -> object:
        lora_shrink(x, [a], middle, *meta.meta_args(*asked), 1.0)
        return lora_expand(middle, [b], out, *meta.meta_args(*asked), offset_start=0, add_inputs=True)

    return work, (a.numel() + b.numel()) * kind.itemsize


def measure(sizes: Sizes, replays: int) -> list[dict[str, Any]]:
    """One row for each half of a step, and one for vLLM's kernels."""
    trial, clock = Trial(sizes, "cuda"), Clock(replays)
    speed = bandwidth(clock)
    activations, _ = trial.predict_and_fuse()
    rows = []
    halves: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "predict and fuse": (trial.predict_and_fuse, eager_prediction(trial)),
        "learn": (lambda: trial.learn(activations), eager_learning(trial)),
    }
    for name, (kernels, eager) in halves.items():
        took, floor = clock.time(kernels), trial.floors[name] / speed
        rows.append({"what": name, "ms": took, "floor_ms": floor, "eager_ms": clock.time_eager(eager)})
    try:
        lora = vllm_lora(trial)
        if lora is not None:
            work, moved = lora
            rows.append({"what": "vLLM's LoRA shrink and expand", "ms": clock.time(work), "floor_ms": moved / speed})
    except Exception as error:  # vLLM's internals change between releases, and our own figures do not depend on them
        print(f"vLLM's LoRA kernels could not be timed: {error!r}", file=sys.stderr)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown."""
    lines = ["| what | median ms | floor ms | of the floor | eager PyTorch ms |", "|---|---|---|---|---|"]
    for row in rows:
        eager = f"{row['eager_ms']:.3f}" if "eager_ms" in row else ""
        share = row["ms"] / row["floor_ms"]
        lines.append(f"| {row['what']} | {row['ms']:.3f} | {row['floor_ms']:.3f} | {share:.2f} | {eager} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("d", "inner", "slots", "lanes", "vocabulary", "width"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Sizes, name))
    parser.add_argument("--replays", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu.json"))
    options = vars(parser.parse_args())
    out, replays = options.pop("out"), options.pop("replays")
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu.py found no GPU: torch.cuda.is_available() is False; nothing was measured.")
    rows = measure(Sizes(**options), replays)
    print(f"{torch.cuda.get_device_name()}, {options}\n\n{table(rows)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "sizes": options, "rows": rows}
    out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
