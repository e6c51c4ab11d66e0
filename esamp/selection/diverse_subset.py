"""A few samples that differ as much as possible: greedy Vendi."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_integer
from esamp.metrics import Embedder, MiniLM
from esamp.metrics.cosine import check_normalised
from esamp.metrics.vendi import check_order, vendi_of_kernels
from esamp.result import Sample
from esamp.selection.base import Selection, Selector, check_samples, selectors
from esamp.selection.likelihood import mean_log_likelihood

__all__ = ["DiverseSubset", "diverse_subset"]

_SIZE = 4
_TIE = 1e-9


def diverse_subset(
    embeddings: Float[Tensor, "n d"], m: int, order: float = 1.0, first: int = 0
) -> tuple[list[int], list[float]]:
    """Indices of m samples: from `first` on, each step adds the one with which the Vendi score is largest.

    Greedy, so that it may miss the best set; its first k are its answer for m = k. Ties go to the earlier sample. All
    candidates of a step are scored in one batched eigenvalue problem of the size of the set: m steps of n · m³ each.

    Args:
        embeddings: L2-normalised rows, one for each sample.
        m: how many, at most n.
        order: q of the Vendi score.
        first: where to start: one sample alone is as diverse as any other.

    Returns:
        The indices in the order in which they were added, and the Vendi score of the set after each.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: `m`, `order` or `first` is out of range, or the rows are not normalised.

    Examples:
        >>> diverse_subset(torch.eye(3)[[0, 0, 1, 2]], 3)[0]
        [0, 2, 3]
    """
    check_order(order)
    check_normalised(embeddings)
    n = len(embeddings)
    check_integer("m", m, low=1, high=n, hint="there are no more samples")
    chosen, scores = [check_integer("first", first, low=0, high=n - 1)], [1.0]
    rows = embeddings.double()
    kernel = rows @ rows.T
    while len(chosen) < m:
        free = [index for index in range(n) if index not in chosen]
        sets = torch.tensor([[*chosen, index] for index in free])
        found = vendi_of_kernels(kernel[sets.unsqueeze(-1), sets.unsqueeze(-2)], order)
        # Not argmax: what is equal but for rounding is a tie.
        best = int((found >= found.max() - _TIE).nonzero()[0])
        chosen.append(free[best])
        scores.append(float(found[best]))
    return chosen, scores


@final
@selectors.register("diverse")
class DiverseSubset(Selector):
    """The likeliest sample and those with which the Vendi score of the sentence embeddings grows most.

    Args:
        m: how many; all of them where there are fewer.
        embedder: of the texts; None: `MiniLM()`.

    Raises:
        ModuleNotFoundError: no embedder is given, and the package of the default one is not installed.
        TypeError: `m` is not an integer.
        ValueError: `m` < 1.
    """

    def __init__(self, m: int = _SIZE, embedder: Embedder | None = None) -> None:
        self.m: int = check_integer("m", m, low=1)
        self.embedder: Embedder = MiniLM() if embedder is None else embedder

    @override
    def __call__(self, prompt: str, samples: Sequence[Sample]) -> Selection:
        check_samples(samples)
        first = max(range(len(samples)), key=lambda index: mean_log_likelihood(samples[index]))
        m = min(self.m, len(samples))
        chosen, scores = diverse_subset(self.embedder([sample.text for sample in samples]), m, first=first)
        reason = f"the likeliest and {m - 1} more; {scores[-1]:.2f} of {m} differ in effect (Vendi score)"
        return Selection([samples[index] for index in chosen], scores, reason)

    @classmethod
    @override
    def parse(cls, argument: str | None) -> DiverseSubset:
        """The argument is m."""
        if argument is None:
            return cls()
        if not argument.strip().isdecimal():
            raise ValueError(f"diverse must be followed by a number, such as diverse:4, got 'diverse:{argument}'")
        return cls(int(argument))
