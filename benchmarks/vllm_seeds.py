"""What a seed for each request costs plain vLLM: `python benchmarks/vllm_seeds.py MODEL_FOLDER [--rounds 4]`.

`esamp bench vllm` compares with a vLLM that has none; this tells how much slower one with seeds is. Runs in turn,
in the environment of `make test-vllm`; processor time of 8 prompts x 8 samples of 32 tokens, min-p 0.05.
"""

from __future__ import annotations

import argparse
import os
import time
from statistics import median

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("--rounds", type=int, default=4)


def main() -> None:
    """Print the median of each kind and of the ratios, round by round."""
    given = parser.parse_args()
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_PLUGINS": ""}
    from vllm import LLM, SamplingParams  # pyright: ignore[reportMissingImports]

    llm = LLM(given.model, dtype="float32", enforce_eager=True, max_model_len=256, max_num_seqs=64, seed=0)
    prompts = ["Tell me a story about a lighthouse keeper."] * 8

    def spent(seed: int | None) -> float:
        start = time.process_time()
        llm.generate(
            prompts, SamplingParams(n=8, max_tokens=32, min_p=0.05, ignore_eos=True, seed=seed), use_tqdm=False
        )
        return time.process_time() - start

    spent(None)
    rounds = [(spent(seed), spent(None)) for seed in range(given.rounds)]
    seeded, plain = (median(times) for times in zip(*rounds, strict=True))
    ratio = median(one / other for one, other in rounds)
    print(f"with seeds {seeded:.2f} s, without {plain:.2f} s; median ratio {ratio:.3f} of {given.rounds} rounds")


if __name__ == "__main__":
    main()
