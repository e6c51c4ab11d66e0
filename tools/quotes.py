"""Quote samples of a run for reading: `python -m tools.quotes RUN ARM ... --count 20 --seed 0 > RUN/quotes.md`.

Prompts and places in the group are drawn at random and are the same for every arm: only the way of sampling differs.
"""

from __future__ import annotations

import argparse
import random
import re

from esamp.cli.console import printable
from esamp.studies.rows import read_rows

_ASKED = re.compile(r"<\|im_start\|>user\n(.*?)<\|im_end\|>", re.DOTALL)


def quotes(run: str, arms: list[str], count: int, seed: int) -> str:
    """A page: a heading for each prompt, under it a sample of every arm.

    Args:
        run: folder with `rows`.
        arms: names of those quoted.
        count: how many samples of each.
        seed: of the choice; only samples that all arms have are chosen from.

    Raises:
        ValueError: an arm has no rows, or all together have fewer than `count`.
    """
    table = read_rows(run, ["arm", "problem", "prompt", "seed", "index", "text"]).to_pylist()
    texts = {(row["arm"], row["problem"], row["seed"], row["index"]): row["text"] for row in table}
    prompts = {row["problem"]: row["prompt"] for row in table}
    shared = set.intersection(*({key[1:] for key in texts if key[0] == arm} for arm in arms))
    if len(shared) < count:
        raise ValueError(f"count must be <= {len(shared)}, the samples that {', '.join(arms)} have all, got {count}")
    lines = [f"# {count} samples of each of {len(arms)} ways of sampling", ""]
    lines += [
        f"Drawn at random (seed {seed}), the same prompts and the same places among the samples for all of them.",
        "",
    ]
    for number, (problem, drawn, index) in enumerate(random.Random(seed).sample(sorted(shared), count), 1):
        asked = _ASKED.findall(prompts[problem]) or [prompts[problem]]
        lines += [f"## {number}. {_quoted(asked[-1])}", ""]
        for arm in arms:
            lines += [f"**{arm}**", "", f"> {_quoted(texts[arm, problem, drawn, index])}", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """In one line, with nothing that Markdown would read."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(printable(text).split())) or "(nothing)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("arms", nargs="+")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(quotes(given.run, given.arms, given.count, given.seed), end="")
