"""What could torch.compile win? The forward of one token as the decode loop runs it, beside compiled ones and a floor.

    OMP_NUM_THREADS=1 python benchmarks/compiled_forward.py [--ways compiled decoder --dtype bfloat16 --json FILE]

The ways take a step in turn. `eager` is transformers' forward with the loop's growing cache; `products` are the matrix
products of the same forward alone, which a compiler leaves to the same library; `compiled` is what the library has;
`parts` compiles each layer's norms
and MLP and keeps the growing cache; `packed` compiles nothing and multiplies by weights that MKL has laid out for
that many rows beforehand; `decoder` compiles everything below the head over a static cache; `frozen` does the same
with inductor's `freezing`, which takes the weights for constants; `onednn` compiles nothing and multiplies by
`torch.utils.mkldnn`. Prints the median of each way's processor and wall time, and of eager's over its, step by step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._inductor import config
from torch.utils.mkldnn import MkldnnLinear
from transformers import StaticCache

from esamp.engines.huggingface.cache import expand
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loading import load
from esamp.engines.huggingface.taps import find_layers
from esamp.engines.huggingface.token_forward import Prefilled

PROMPT_TOKENS, WARM_UP = 32, 3
WAYS = ("compiled", "packed", "parts", "decoder", "frozen", "onednn")
Step = Callable[[int], Tensor | None]
"""The forward of step i; the logits, where there are any."""


def tokens_of(step: int, rows: int) -> Tensor:
    """Some tokens, the same for every way."""
    return (torch.arange(rows).unsqueeze(1) * 31 + step * 7) % 1000 + 100


def prompt_of(rows: int) -> Tensor:
    """A prompt, the same in every row."""
    return (torch.arange(PROMPT_TOKENS) * 13 % 1000 + 100).expand(rows, -1)


def growing(engine: HuggingFaceEngine, rows: int, steps: int) -> Step:
    """The loop's own forward."""
    mask = torch.ones(rows, PROMPT_TOKENS + steps, dtype=torch.int64)
    _, cache = engine.forward(prompt_of(rows), mask[:, :PROMPT_TOKENS], None)
    expand(cache, torch.arange(rows))
    return lambda step: engine.forward(tokens_of(step, rows), mask[:, : PROMPT_TOKENS + step + 1], cache)[0]


def compiled(name: str, dtype: str, rows: int, steps: int) -> Step:
    """The library's own compiled forward."""
    engine = HuggingFaceEngine(*load(name, dtype, "cpu"), compiled=True)
    mask = torch.ones(rows, PROMPT_TOKENS + steps, dtype=torch.int64)
    _, cache = engine.forward(prompt_of(rows), mask[:, :PROMPT_TOKENS], None)
    forward = engine.token_forward(Prefilled(cache, mask, PROMPT_TOKENS, torch.arange(rows)), lambda shallow: None)
    forward.__enter__()  # for as long as the process lives
    return lambda step: forward(tokens_of(step, rows).squeeze(1)).logits


def static(model: Any, rows: int, steps: int, freezing: bool = False) -> Step:
    """Everything below the head compiled, over a cache of the whole length."""
    decoder = model.get_decoder()
    # The option keeps the two compiled forms apart, but comes too late to freeze: the graph has its weights as inputs.
    compiled = torch.compile(decoder.forward, dynamic=False, options={"freezing": freezing})
    cache = StaticCache(config=model.config, max_cache_len=PROMPT_TOKENS + steps)
    decoder(input_ids=prompt_of(rows), past_key_values=cache)

    def step_of(step: int) -> Tensor:
        position = torch.full((rows, 1), PROMPT_TOKENS + step)
        with config.patch(freezing=freezing):
            hidden = compiled(input_ids=tokens_of(step, rows), position_ids=position, past_key_values=cache)
        return model.lm_head(hidden.last_hidden_state[:, -1])

    return step_of


def products(model: Any, rows: int) -> Step:
    """Every linear map of the model on as many rows, and nothing else."""
    maps = [module for module in model.modules() if isinstance(module, nn.Linear)]
    sizes = {linear.in_features for linear in maps}
    inputs = {size: torch.randn(rows, size, dtype=model.dtype) for size in sizes}

    def step_of(step: int) -> None:
        for linear in maps:
            linear(inputs[linear.in_features])

    return step_of


def parts_compiled(name: str) -> HuggingFaceEngine:
    """An engine whose layers' norms and MLPs are compiled: one code for all layers."""
    engine = HuggingFaceEngine(*load(name, "float32", "cpu"))
    for layer in find_layers(engine.model):
        for part in ("input_layernorm", "post_attention_layernorm", "mlp"):
            module = getattr(layer, part)
            module.forward = torch.compile(module.forward, dynamic=True)
    return engine


def packed_weights(name: str, rows: int) -> HuggingFaceEngine:
    """An engine whose linear maps multiply by packed copies of their weights; other numbers of rows go as before."""
    engine = HuggingFaceEngine(*load(name, "float32", "cpu"))
    for module in engine.model.modules():
        if isinstance(module, nn.Linear):
            module.forward = packed_forward(module, rows)
    return engine


def onednn_weights(name: str) -> HuggingFaceEngine:
    """An engine whose layers multiply by oneDNN's linear maps."""
    engine = HuggingFaceEngine(*load(name, "float32", "cpu"))
    for layer in find_layers(engine.model):
        for parent in list(layer.modules()):
            for child, module in list(parent.named_children()):
                if isinstance(module, nn.Linear):
                    setattr(parent, child, MkldnnLinear(module, torch.float32))
    return engine


def packed_forward(linear: nn.Linear, rows: int) -> Callable[[Tensor], Tensor]:
    """What `linear` does, by MKL's packed product where its input has so many rows."""
    plain = linear.forward
    packed = torch.ops.mkl._mkl_reorder_linear_weight(linear.weight.detach(), rows)

    def forward(hidden: Tensor) -> Tensor:
        if hidden.numel() != rows * linear.in_features:
            return plain(hidden)
        return torch.ops.mkl._mkl_linear(hidden, packed, linear.weight, linear.bias, rows)

    return forward


def measure(ways: dict[str, Step], steps: int) -> dict[str, dict[str, Any]]:
    """Times of each way's steps, one of each in turn; the first ones, which compile, are told apart."""
    found: dict[str, dict[str, Any]] = {way: {"cpu": [], "wall": [], "warm_up": 0.0, "error": 0.0} for way in ways}
    for step in range(steps):
        reference: Tensor | None = None
        for way, forward in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            logits = forward(step)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if step < WARM_UP:
                found[way]["warm_up"] += wall
            else:
                found[way]["cpu"].append(cpu)
                found[way]["wall"].append(wall)
            if logits is not None:
                logits = logits.reshape(len(logits), -1).float()
                reference = logits if reference is None else reference
                found[way]["error"] = max(found[way]["error"], float((logits - reference).abs().max()))
    return found


@torch.no_grad()
def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--dtype", default="float32", help="packed, parts and onednn know float32 alone")
    parser.add_argument("--ways", nargs="*", default=WAYS, choices=WAYS)
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows, steps = options.prompts * options.n, options.steps
    engine = HuggingFaceEngine(*load(options.model, options.dtype, "cpu"))
    ways = {"eager": growing(engine, rows, steps), "products": products(engine.model, rows)}
    if "compiled" in options.ways:
        ways["compiled"] = compiled(options.model, options.dtype, rows, steps)
    if "parts" in options.ways:
        ways["parts"] = growing(parts_compiled(options.model), rows, steps)
    if "packed" in options.ways:
        ways["packed"] = growing(packed_weights(options.model, rows), rows, steps)
    if "decoder" in options.ways:
        ways["decoder"] = static(engine.model, rows, steps)
    if "frozen" in options.ways:
        ways["frozen"] = static(load(options.model, options.dtype, "cpu")[0], rows, steps, freezing=True)
    if "onednn" in options.ways:
        ways["onednn"] = growing(onednn_weights(options.model), rows, steps)
    found = measure(ways, steps)
    print(
        f"{options.model} in {options.dtype}, {rows} rows, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    for way, times in found.items():
        line = [f"{way:9}"]
        for clock in ("cpu", "wall"):
            ratios = [a / b for a, b in zip(found["eager"][clock], times[clock], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            line.append(
                f"{clock} {statistics.median(times[clock]) * 1e3:6.1f} ms, x{middle:.2f} ({low:.2f} … {high:.2f})"
            )
        print(*line, f"first {WARM_UP} steps {times['warm_up']:.1f} s, |Δ logits| ≤ {times['error']:.1e}", sep="; ")
    if options.json:
        settings = {
            "model": options.model,
            "dtype": options.dtype,
            "rows": rows,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        options.json.write_text(json.dumps({"command": sys.argv, "settings": settings, "ways": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
