"""What later waves gain by earlier ones: `python benchmarks/waves.py RUN ARM [--waves 4] [--beside ARM ...]`.

The samples of a prompt are taken wave by wave, as they were drawn. How alike are a wave's samples to those of earlier
waves (the share with a cosine of 0.7 or more to one of them), how different are they among themselves (Vendi score of
the wave), and at which perplexity? An arm that has no waves is cut at the same places, where nothing should happen but
by chance. Means over prompts, seeds first, with the paired difference of the last wave to the first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from esamp.metrics import KeptEmbeddings, MiniLM, paired_difference, perplexity, vendi_score
from esamp.studies.evaluated import SampleTable, read_run

_ALIKE = 0.7
_LIKENESS = "alike to earlier waves"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("run", type=Path)
parser.add_argument("arm")
parser.add_argument("--waves", type=int, default=4)
parser.add_argument("--beside", nargs="*", default=[])


def waves_of(samples: SampleTable, arm: str, count: int) -> Iterator[tuple[str, list[list[int]]]]:
    """Of each problem and seed of an arm, the rows of each wave, in the order of their indices."""
    cells: dict[tuple[str, int], list[int]] = {}
    for row, name in enumerate(samples.arm):
        if name == arm:
            cells.setdefault((samples.problem[row], samples.seed[row]), []).append(row)
    for (problem, _), rows in sorted(cells.items()):
        rows.sort(key=lambda row: samples.index[row])
        each = len(rows) // count
        yield problem, [rows[wave * each : (wave + 1) * each] for wave in range(count)]


def measure(samples: SampleTable, embeddings: Tensor, arm: str, count: int) -> dict[str, list[Tensor]]:
    """Of each measure and wave, the values of the problems."""
    found: dict[str, list[dict[str, list[float]]]] = {
        name: [{} for _ in range(count)] for name in (_LIKENESS, "Vendi of the wave", "perplexity")
    }
    for problem, waves in waves_of(samples, arm, count):
        earlier: list[int] = []
        for wave, rows in enumerate(waves):
            like = (
                float((embeddings[rows] @ embeddings[earlier].T).amax(dim=-1).ge(_ALIKE).float().mean())
                if earlier
                else 0.0
            )
            scores = (
                like,
                vendi_score(embeddings[rows]),
                perplexity([torch.as_tensor(samples.reference_log_probs[row]) for row in rows]),
            )
            for (_, values), score in zip(found.items(), scores, strict=True):
                values[wave].setdefault(problem, []).append(score)
            earlier += rows
    return {
        name: [torch.tensor([sum(seeds) / len(seeds) for seeds in wave.values()]) for wave in waves]
        for name, waves in found.items()
    }


def main() -> None:
    """Print a line for each arm and measure."""
    given = parser.parse_args()
    samples = read_run(given.run).samples
    kept = KeptEmbeddings(MiniLM(), given.run / "embeddings.safetensors", "all-MiniLM-L6-v2")
    embeddings = kept(samples.text)
    kept.save()
    mine = measure(samples, embeddings, given.arm, given.waves)
    show(given.arm, mine)
    for arm in given.beside:
        theirs = measure(samples, embeddings, arm, given.waves)
        show(arm, theirs)
        for name, waves in theirs.items():
            print(f"  {name}, last wave of {given.arm!r} minus this one's: {difference(mine[name][-1], waves[-1])}")


def show(arm: str, measured: dict[str, list[Tensor]]) -> None:
    """Print the means of each wave, and how the last differs from the first."""
    print(f"{arm}:")
    for name, waves in measured.items():
        means = ", ".join(f"{float(wave.mean()):.2f}" for wave in waves)
        # The first wave has no earlier one that it could be like.
        start = 1 if name == _LIKENESS else 0
        print(f"  {name}: {means}; wave {len(waves)} minus wave {start + 1}: {difference(waves[-1], waves[start])}")


def difference(a: Tensor, b: Tensor) -> str:
    """Paired over problems, with its interval and p-value."""
    found = paired_difference(a, b)
    low, high = found.difference.low, found.difference.high
    return f"{found.difference.value:+.2f} ({low:+.2f} … {high:+.2f}), p = {found.p_value:.3f}"


if __name__ == "__main__":
    main()
