"""Compile every kernel for every GPU, without any, and write down what the compilers say.

    python benchmarks/kernels_aot.py [--out docs/results/kernels-aot.md]

Ten to twenty minutes on one core the first time; afterwards Triton's cache answers.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# The interpreter compiles nothing; and Triton asks that fused multiply-add be chosen one way or the other.
os.environ.pop("TRITON_INTERPRET", None)
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

import torch
import triton

from esamp.kernels.ahead import TARGETS, is_wide, report
from esamp.kernels.listing import launches


def main() -> None:
    """Compile, print, write; exits with 1 if anything spills, does not fit, or loads too little at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/results/kernels-aot.md"))
    out = parser.parse_args().out
    lines = [
        f"Triton {triton.__version__}, PyTorch {torch.__version__.partition('+')[0]}. Registers of a thread / shared "
        "memory of a program in KiB; a spill, an overflow or loads narrower than 128 bits would be marked.",
        "",
        f"| kernel, weights, rows of a slot | {' | '.join(TARGETS)} |",
        "|---|" + "---|" * len(TARGETS),
    ]
    flawed = False
    for name, launch in launches(everything=True).items():
        cells = []
        for target in TARGETS.values():
            got = report(launch, target)
            flaws = [f"{got.spills} spilled"] * (got.spills > 0) + [f"{got.widest} bits"] * (not is_wide(name, got))
            flaws += ["too large"] * (got.shared > target.shared)
            flawed |= bool(flaws)
            cells.append(" ".join([f"{got.registers} / {got.shared / 1024:.1f}", *flaws]))
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n")
    sys.exit(int(flawed))


if __name__ == "__main__":
    main()
