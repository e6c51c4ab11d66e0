"""Count everything that one step asks of the device, and write it down as a table.

    TRITON_INTERPRET=1 python benchmarks/launches.py [--out docs/results/launches.md]

Kernels run in Triton's interpreter on the CPU: what is counted there is what a GPU would be asked for. A few minutes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

# Before anything imports Triton.
os.environ["TRITON_INTERPRET"] = "1"

import torch

from esamp.distillers import Distiller, LowRankDistiller, MLPDistiller, RecursiveLeastSquaresDistiller
from esamp.testing.counted import StepSizes, count_step, step_floors
from esamp.testing.operations import Operations
from esamp.testing.traffic import weigh

SIZES = StepSizes(d=256, vocabulary=8192, groups=1, lanes=16)
DISTILLERS: dict[str, Callable[[], Distiller] | None] = {
    "plain sampling": None,
    "the paper's MLP": lambda: MLPDistiller(width=128),
    "low-rank": lambda: LowRankDistiller(rank=64),
    "recursive least squares": lambda: RecursiveLeastSquaresDistiller(features=128),
}
ORDERS = {"all 16 rows": torch.arange(16), "9 of 16": torch.tensor([15, 1, 2, 4, 5, 8, 9, 11, 12])}
PARTS = ("begin", "fuse", "draw", "learn")
BEFORE = PARTS[:-1]


def main() -> None:
    """Count, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/results/launches.md"))
    out = parser.parse_args().out
    lines = [
        f"d = {SIZES.d}, inner width 128 (MLP) and 64 (low-rank), 128 features, vocabulary {SIZES.vocabulary}, "
        f"{SIZES.groups} × {SIZES.lanes} rows, float32, min-p 0.05. PyTorch {torch.__version__.partition('+')[0]}.",
        "",
        "| path | distiller | rows | begin | fuse | draw | learn | **beside plain, before the token** | bytes before "
        "the token / floor | bytes to learn / floor |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for path, kernels in (("kernels", "triton"), ("PyTorch, as on the CPU", "reference")):
        os.environ["ESAMP_KERNELS"] = kernels
        for place, order in ORDERS.items():
            plain: dict[str, Operations] = {}
            for name, make in DISTILLERS.items():
                counted = count_step(None if make is None else make(), SIZES, order, weigh)
                plain = plain or counted
                lines.append(_row([path, name, place], counted, plain, kernels == "triton" and place == "all 16 rows"))
                print(lines[-1], flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n")


def _row(head: list[str], counted: dict[str, Operations], plain: dict[str, Operations], weighed: bool) -> str:
    launches = {part: len(counted[part].listed) for part in PARTS}
    own = sum(launches[part] - len(plain[part].listed) for part in BEFORE)
    ratios, make = ["", ""], DISTILLERS[head[1]]
    if weighed and make is not None and head[1] != "recursive least squares":
        floors = step_floors(make(), SIZES)
        before = counted["begin"].bytes + counted["fuse"].bytes
        ratios = [f"{before / floors.before:.2f}", f"{counted['learn'].bytes / floors.learn:.2f}"]
    cells = [*head, *map(str, launches.values()), f"**{own}**" if make is not None else "", *ratios]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
