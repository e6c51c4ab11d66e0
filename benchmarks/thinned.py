"""What it costs in Vendi score to have fewer samples: `python benchmarks/thinned.py RUN ARM CONTROL [--seeds 1 2]`.

In `esamp report --no-loops` the looping samples of the control are gone, and fewer samples have a lower score whatever
they say. Here the groups of the arm are thinned at random to the numbers that the control has left.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from statistics import mean

from esamp.metrics import KeptEmbeddings, MiniLM, is_looping, vendi_score
from esamp.studies.evaluated import read_run

_DRAWS = 20

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("run", type=Path)
parser.add_argument("arm")
parser.add_argument("control")
parser.add_argument("--seeds", type=int, nargs="*", help="all of the run's if not given")
given = parser.parse_args()

samples = read_run(given.run).samples
embed = KeptEmbeddings(MiniLM(), given.run / "embeddings.safetensors", "all-MiniLM-L6-v2")
cells: dict[tuple[str, str, int], list[int]] = {}
for row in range(len(samples)):
    if not given.seeds or samples.seed[row] in given.seeds:
        cells.setdefault((samples.arm[row], samples.problem[row], samples.seed[row]), []).append(row)
generator = random.Random(0)
whole, thinned, left = [], [], []
for (arm, problem, seed), rows in cells.items():
    if arm != given.control:
        continue
    living = [row for row in rows if not is_looping(samples.token_ids[row])]
    left.append(vendi_score(embed([samples.text[row] for row in living])) if living else 0.0)
    mine = embed([samples.text[row] for row in cells[given.arm, problem, seed]])
    whole.append(vendi_score(mine))
    count = max(len(living), 1)
    thinned.append(mean(vendi_score(mine[generator.sample(range(len(mine)), count)]) for _ in range(_DRAWS)))
print(f"{given.arm}: {mean(whole):.2f}, thinned {mean(thinned):.2f} ({mean(thinned) / mean(whole) - 1:+.1%})")
print(f"{given.control} without loops: {mean(left):.2f}")
