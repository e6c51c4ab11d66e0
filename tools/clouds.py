"""Draw the samples of the front page's picture: `OMP_NUM_THREADS=1 python -m tools.clouds`.

One prompt, that of the first example, plainly and with ESamp, same seed; their texts, their places on a plane and their
scores go into docs/results/clouds.json, from which `python -m tools.pages` makes the picture.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from esamp import ESampSampler
from esamp.cli.console import printable
from esamp.cli.page.projection import principal_plane
from esamp.metrics import MiniLM, score_samples
from esamp.result import Sample

PROMPT = "Name a dish I have never heard of."
N, TOKENS, BETA, SEED = 64, 64, 0.5, 0
ALIKE = (0.5, 0.6, 0.7)  # cosines from which on two samples count as alike; lines are drawn at the first
OUT = Path("docs/results/clouds.json")


def cloud(samples: list[Sample], places: torch.Tensor, embedder: MiniLM) -> dict[str, Any]:
    """What is kept of one way of sampling."""
    scores = score_samples(samples, embedder)
    kept = ("vendi", "cosine", "perplexity", "repetition")
    texts = [sample.text for sample in samples]
    cosines = torch.triu(embedder(texts) @ embedder(texts).T, diagonal=1)
    return {
        "scores": {name: round(getattr(scores, name), 3) for name in kept},
        "alike": {str(least): int((cosines > least).sum()) for least in ALIKE},
        "lines": (cosines > ALIKE[0]).nonzero().tolist(),
        "texts": [" ".join(printable(text).split()) for text in texts],
        "places": [[round(x, 4), round(y, 4)] for x, y in places.tolist()],
    }


def main() -> None:
    """Sample twice, put all texts on the plane of their first two principal components, write."""
    sampler, embedder = ESampSampler.from_pretrained("smollm2-135m"), MiniLM()
    runs = {
        name: sampler.generate(PROMPT, n=N, max_new_tokens=TOKENS, seed=SEED, chat=True, beta=beta).samples[0]
        for name, beta in (("plain", 0.0), ("ESamp", BETA))
    }
    plane, variance = principal_plane(embedder([sample.text for samples in runs.values() for sample in samples]))
    places = dict(zip(runs, plane.split(N), strict=True))
    made = {
        "prompt": PROMPT,
        "beta": BETA,
        "n": N,
        "seed": SEED,
        "tokens": TOKENS,
        "variance": round(variance, 3),
        "clouds": {name: cloud(samples, places[name], embedder) for name, samples in runs.items()},
    }
    OUT.write_text(json.dumps(made, ensure_ascii=False) + "\n", encoding="utf-8")
    print(OUT, {name: each["scores"] for name, each in made["clouds"].items()})


if __name__ == "__main__":
    main()
