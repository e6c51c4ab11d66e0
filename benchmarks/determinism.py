"""What changes a sample, and what does not: the same request under other circumstances, token by token.

    python benchmarks/determinism.py [--model smollm2-135m --out docs]

Draws the samples of three prompts, and then again in the ways of the table. Prints how many samples have the same
tokens, how many have log-probabilities equal to the last bit, and the largest difference of a log-probability before
the first token that differs. With --out it writes the table to OUT/results/determinism.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch

from esamp import Callback, ESampSampler
from esamp.result import Sample

PROMPTS = (
    "Name a dish I have never heard of, and say in one sentence what is in it.",
    "Invent a holiday.",
    "Why do people collect things? Answer with a story of three sentences about somebody who does.",
)
N, STEPS, SEED, BETA = 4, 24, 1, 0.5

Drawn = dict[tuple[int, int], tuple[list[int], list[float]]]
"""Tokens and log-probabilities of each sample, by (prompt, index)."""


@final
@dataclass(frozen=True)
class Way:
    """A row of the table.

    Attributes:
        name: what is other than in the first run.
        draw: draws the samples that are to be compared.
        why: what happens and why.
    """

    name: str
    draw: Callable[[], Drawn]
    why: str


@final
@dataclass(frozen=True)
class Found:
    """How two drawings of the same samples compare.

    Attributes:
        samples: how many were compared.
        tokens: how many have the same tokens.
        bits: how many have the same log-probabilities too, to the last bit.
        difference: largest difference of a log-probability before the first token that differs.
    """

    samples: int
    tokens: int
    bits: int
    difference: float


def compare(first: Drawn, second: Drawn) -> Found:
    """Hold the samples that are in both against each other."""
    both = sorted(first.keys() & second.keys())
    tokens = bits = 0
    difference = 0.0
    for key in both:
        (ids, logs), (other_ids, other_logs) = first[key], second[key]
        same = next(
            (i for i, (a, b) in enumerate(zip(ids, other_ids, strict=False)) if a != b), min(len(ids), len(other_ids))
        )
        tokens += ids == other_ids
        bits += ids == other_ids and logs == other_logs
        difference = max([difference, *(abs(a - b) for a, b in zip(logs[:same], other_logs[:same], strict=True))])
    return Found(len(both), tokens, bits, difference)


@final
class Bench:
    """One model and the ways to draw from it.

    Args:
        name: of the model, as `from_pretrained` takes it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sampler = self._make()

    def draw(self, sampler: ESampSampler | None = None, prompts: tuple[int, ...] = (0, 1, 2), **options: Any) -> Drawn:
        """Samples of some of the prompts, in that order."""
        sampler = sampler or self.sampler
        settings: dict[str, Any] = {"n": N, "max_new_tokens": STEPS, "seed": SEED, "min_p": 0.05}
        settings["chat"] = sampler.engine.tokenizer.chat_template is not None
        result = sampler.generate([PROMPTS[i] for i in prompts], **{**settings, **options})
        return {
            (prompts[sample.prompt], sample.index): (sample.token_ids.tolist(), sample.log_probs.tolist())
            for samples in result.samples
            for sample in samples
        }

    def ways(self) -> list[Way]:
        """The rows of the table."""
        rounding = "sums of another shape round otherwise; where two tokens are almost tied, one turns"
        return [
            Way("the same call again", self.draw, "a token depends on seed, sample, step, token id and distribution"),
            Way("another process", self._process, "nothing is kept between processes"),
            Way(
                "another scheduler (`thread`)",
                lambda: self.draw(self._make(scheduler="thread")),
                "it decides when, not what",
            ),
            Way("other order of the prompts", lambda: self.draw(prompts=(2, 0, 1)), "groups do not see each other"),
            Way("without its batch-mates", lambda: self.draw(prompts=(1,)), rounding),
            Way("`batch_size=1`", lambda: self.draw(batch_size=1), rounding),
            Way("two threads of the CPU", self._threads, rounding),
            Way("inside `model.generate`", self._inside, "prompts are of one length there: as without batch-mates"),
            Way("in bfloat16", lambda: self.draw(self._make(dtype="bfloat16")), "another model, as far as numbers go"),
            Way(
                "8 samples, of which the first 4",
                lambda: self.draw(n=8),
                "not the same request: a distiller that 8 samples teach knows more",
            ),
        ]

    def _make(self, dtype: str = "float32", **parts: Any) -> ESampSampler:
        return ESampSampler.from_pretrained(self.name, dtype=dtype, device="cpu", beta=BETA, **parts)

    def _process(self) -> Drawn:
        command = [sys.executable, __file__, "--model", self.name, "--samples"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return {(prompt, index): (ids, logs) for prompt, index, ids, logs in json.loads(done.stdout)}

    def _threads(self) -> Drawn:
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(2)
            return self.draw()
        finally:
            torch.set_num_threads(before)

    def _inside(self) -> Drawn:
        sampler, found = self.sampler, Drawn()
        chat = sampler.engine.tokenizer.chat_template is not None
        for number, prompt in enumerate(PROMPTS):
            ids = torch.tensor([sampler.engine.encode(sampler.engine.render(prompt, chat=chat), templated=chat)])
            kept = _Samples()
            sampler.engine.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                custom_generate=sampler,
                callbacks=[kept],
                seed=SEED,
                do_sample=True,
                num_return_sequences=N,
                max_new_tokens=STEPS,
                min_p=0.05,
                top_k=0,
            )
            found |= {
                (number, sample.index): (sample.token_ids.tolist(), sample.log_probs.tolist())
                for sample in kept.samples
            }
        return found


@final
class _Samples(Callback):
    """Keeps the samples."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def on_sample_end(self, sample: Sample) -> None:
        self.samples.append(sample)


def table(bench: Bench) -> str:
    """All ways, as Markdown."""
    first = bench.draw()
    lines = [
        "| what is other | samples with the same tokens | equal to the last bit | largest difference of log p | why |",
        "|---|---|---|---|---|",
    ]
    for way in bench.ways():
        found = compare(first, way.draw())
        lines.append(
            f"| {way.name} | {found.tokens} of {found.samples} | {found.bits} of {found.samples} | "
            f"{found.difference:.1e} | {way.why} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--samples", action="store_true", help="print the samples of the first run as JSON, no more")
    options = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(options.model)
    if options.samples:
        print(json.dumps([[*key, *value] for key, value in bench.draw().items()]))
        return
    text = table(bench)
    if options.out is not None:
        path = options.out / "results" / "determinism.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


if __name__ == "__main__":
    main()
