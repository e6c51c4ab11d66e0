"""How fast does each distiller learn, and what does it cost? On hidden states of the embedded model.

    python benchmarks/distillers.py [--prompts 4 --n 16 --steps 256 --out docs --warm runs/fit/trunk.safetensors]

Records (h¹, hᴸ) while the embedded model writes, then replays the same stream to every distiller. Prints a Markdown
table and writes it to OUT/results/distillers-table.md with a plot in OUT/images/distillers.svg.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.bank import Bank
from esamp.candidates import Filters
from esamp.distillers import (
    Distiller,
    FrozenDistiller,
    HierarchicalDistiller,
    LinearDistiller,
    LowRankDistiller,
    MLPDistiller,
    RecursiveLeastSquaresDistiller,
    VocabularyDistiller,
)
from esamp.distillers.optimizers import SGD, Adafactor
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loading import load
from esamp.engines.huggingface.loop import Batch, DecodeLoop
from esamp.fusion import BetaMix
from esamp.llm import FrozenLLM
from esamp.policy import DecodePolicy, Fused, PlainPolicy
from esamp.rows import Rows

PROMPTS = (
    "Write a long story about a lighthouse keeper who finds a letter in a bottle.",
    "Explain in detail how a bicycle stays upright.",
    "Describe a day in the life of a medieval baker.",
    "Write an essay on why people collect things.",
)
MARKS = (1, 4, 16, 64, 256)


@final
class Recorder(DecodePolicy):
    """Plain sampling that keeps what it sees: h¹, hᴸ and who was alive, [prompts, n, d] a step."""

    def __init__(self, prompts: int, n: int) -> None:
        self.plain = PlainPolicy(Filters(min_p=0.05), prompts)
        self.prompts, self.n = prompts, n
        self.steps: list[tuple[Tensor, Tensor, Tensor]] = []

    @override
    def begin(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> None:
        self.plain.begin(shallow, rows)
        self._shallow, self._rows = shallow.float(), rows

    @override
    def fuse(self, deep: Float[Tensor, "rows d"], reference: Float[Tensor, "rows vocab"]) -> Fused:
        return self.plain.fuse(deep, reference)

    @override
    def learn(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None = None,
    ) -> None:
        values = (self._shallow, deep.float(), torch.ones(len(deep)))
        shallow, deep, weight = (self._rows.scatter(value, self.prompts, self.n) for value in values)
        self.steps.append((shallow, deep, weight))

    @override
    def prefill(
        self,
        shallow: Float[Tensor, "rows d"],
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        pass

    @override
    def losses(self) -> Float[Tensor, " groups"]:
        return self.plain.losses()

    @override
    def resets(self) -> Int[Tensor, " groups"]:
        return self.plain.resets()


def record(prompts: int, n: int, steps: int) -> tuple[list[tuple[Tensor, Tensor, Tensor]], FrozenLLM]:
    """The stream of one plain run of the embedded model."""
    model, tokenizer = load("smollm2-135m")
    engine = HuggingFaceEngine(model, tokenizer)
    ids = [engine.encode(engine.render(text, chat=True), templated=True) for text in PROMPTS[:prompts]]
    recorder = Recorder(prompts, n)
    batch = Batch(
        prompts=ids,
        first_prompt=0,
        group=torch.arange(prompts).unsqueeze(1).expand(prompts, n),
        groups=prompts,
        beta=torch.zeros(prompts, n),
        counts=torch.full((prompts,), n),
        first_sample=torch.zeros(prompts, dtype=torch.int64),
        total=torch.full((prompts,), n),
        max_new_tokens=steps,
        seed=0,
        eos=engine.eos_ids,
    )
    with DecodeLoop(engine, recorder, batch) as loop:
        while loop.running:
            loop.step()
    return recorder.steps, engine.llm


def zoo(warm: Path | None) -> dict[str, Distiller]:
    """Every distiller that predicts hᴸ, its starts, and the optimisers on the paper's architecture.

    `warm` is the file of a low-rank distiller of rank 64 from `esamp fit`.
    """
    warmed: dict[str, Distiller] = {}
    if warm is not None:
        warmed["low-rank 64, warm start"] = LowRankDistiller(start=str(warm))
        warmed["low-rank 64, warm start, frozen"] = FrozenDistiller(LowRankDistiller(start=str(warm)))
    return {
        "frozen low-rank (control)": FrozenDistiller(),
        "MLP, Adam 4e-4 (the paper's)": MLPDistiller(),
        "MLP, Adam 4e-4, zero start": MLPDistiller(start="zero"),
        "MLP, Adafactor 1e-3": MLPDistiller(optimizer=Adafactor()),
        "low-rank 64, Adam 1e-3": LowRankDistiller(),
        "low-rank 64, Adam 1e-3, the LLM's neurons": LowRankDistiller(start="llm"),
        **warmed,
        "low-rank 64, Adam 1e-3, bfloat16": LowRankDistiller(storage="bfloat16"),
        "low-rank 64, SGD": LowRankDistiller(optimizer=SGD(lr=1e-1)),
        "low-rank 64, KL in the vocabulary (control)": VocabularyDistiller(),
        "linear, Adam 1e-3": LinearDistiller(),
        "hierarchical (low-rank trunk 64, leaf 8)": HierarchicalDistiller(trunk=LowRankDistiller()),
        "recursive least squares 64": RecursiveLeastSquaresDistiller(features=64),
        "recursive least squares 256": RecursiveLeastSquaresDistiller(features=256),
        "recursive least squares 256, forgetting .98": RecursiveLeastSquaresDistiller(features=256, forgetting=0.98),
    }


def replay(distiller: Distiller, stream: list[tuple[Tensor, Tensor, Tensor]], llm: FrozenLLM) -> tuple[Tensor, float]:
    """Fraction of variance unexplained before each update, [steps], and median seconds of predict + learn."""
    living = torch.cat([deep[weight > 0] for _, deep, weight in stream])
    variance = (living - living.mean(dim=0)).square().mean()
    bank = Bank(distiller, BetaMix(), llm, stream[0][0].shape[0])
    unexplained: list[float] = []
    seconds: list[float] = []
    healthy = torch.zeros(bank.groups, dtype=torch.bool)
    for shallow, deep, weight in stream:
        start = time.perf_counter()
        predicted = bank.predict(shallow)
        bank.learn(shallow, deep, weight, healthy)
        seconds.append(time.perf_counter() - start)
        error = (predicted - deep).square().mean(dim=-1)[weight > 0].mean()
        unexplained.append(float(error / variance))
    return torch.tensor(unexplained), statistics.median(seconds)


def around(curve: Tensor, step: int) -> float:
    """The curve after `step` updates, averaged over the next steps to half as many again."""
    return float(curve[step : step + max(1, step // 2)].mean()) if step < len(curve) else float("nan")


def table(rows: dict[str, tuple[Tensor, float, int]], groups: int) -> str:
    """The results as Markdown."""
    marks = [mark for mark in MARKS if mark < max(len(curve) for curve, _, _ in rows.values())]
    head = "| distiller | " + " | ".join(f"after {mark}" for mark in marks) + " | ms a step | KB a prompt |"
    lines = [head, "|---" * (len(marks) + 3) + "|"]
    for name, (curve, seconds, memory) in rows.items():
        values = " | ".join(f"{around(curve, mark):.2f}" for mark in marks)
        lines.append(f"| {name} | {values} | {seconds * 1e3:.1f} ({groups} prompts) | {memory / 1e3:.0f} |")
    return "\n".join(lines)


def plot(rows: dict[str, tuple[Tensor, float, int]], path: Path) -> None:
    """Unexplained variance against steps, both axes logarithmic."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    colours = plt.get_cmap("tab20").colors
    for colour, (name, (curve, _, _)) in zip(colours, rows.items(), strict=False):
        smooth = torch.tensor([around(curve, step) for step in range(1, len(curve))])
        axes.plot(range(1, len(curve)), smooth, label=name, color=colour, linewidth=1.6)
    axes.set(xscale="log", yscale="log", xlabel="updates", ylabel="fraction of variance unexplained")
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set_ylim(0.35, 150)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    """Record, replay, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--warm", type=Path, help="a low-rank distiller of rank 64 from `esamp fit`")
    arguments = parser.parse_args()
    # A few steps more, so that there is something to predict after the last mark.
    stream, llm = record(arguments.prompts, arguments.n, arguments.steps + 16)
    rows: dict[str, tuple[Tensor, float, int]] = {}
    for name, distiller in zoo(arguments.warm).items():
        curve, seconds = replay(distiller, stream, llm)
        rows[name] = (curve, seconds, distiller.memory(llm.head.weight.shape[1]))
        print(
            f"{name:45s} {' '.join(f'{around(curve, mark):7.3f}' for mark in MARKS)} {seconds * 1e3:7.2f} ms",
            flush=True,
        )
    text = table(rows, arguments.prompts)
    print("\n" + text)
    plot(rows, arguments.out / "images" / "distillers.svg")
    target = arguments.out / "results" / "distillers-table.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n")


if __name__ == "__main__":
    main()
