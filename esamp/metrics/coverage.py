"""Coverage: what k samples find, in expectation over all choices of k among the n that were drawn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from esamp.checks import check_integer, check_number
from esamp.metrics.cosine import check_normalised

__all__ = ["chance_of_some", "clusters", "distinct_at_k", "pass_at_k", "reentry_rate"]


def pass_at_k(correct: Sequence[int], n: int | Sequence[int]) -> Float[Tensor, "problems k"]:
    """Unbiased pass@k of each problem for every k: 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, Eq. 1).

    Column k - 1 is pass@k; its mean over problems is the benchmark's number, its rows are what intervals resample. NaN
    where k is more than a problem's own n, so that a mean over problems is one over all of them or none.

    Args:
        correct: c, how many of each problem's samples are right.
        n: how many samples were drawn, of each problem or of every one.

    Returns:
        float64 [problems, largest n].

    Raises:
        TypeError: a count is not an integer.
        ValueError: there is no problem, the lengths differ, or a count is out of range.

    Examples:
        >>> pass_at_k([1, 0], n=2).mean(dim=0)
        tensor([0.2500, 0.5000], dtype=torch.float64)
    """
    drawn = [n] * len(correct) if isinstance(n, int) else list(n)
    if len(drawn) != len(correct):
        raise ValueError(f"n must have one entry a problem, got {len(drawn)} for {len(correct)} entries of correct")
    if not drawn:
        raise ValueError("correct must hold at least one problem, got none")
    for index, (right, samples) in enumerate(zip(correct, drawn, strict=True)):
        check_integer(f"n[{index}]", samples, low=1)
        check_integer(f"correct[{index}]", right, low=0, high=samples, hint="it counts samples among the n")
    return chance_of_some(torch.tensor(correct, dtype=torch.int64), torch.tensor(drawn))


def distinct_at_k(answers: Sequence[Sequence[Hashable | None]]) -> Float[Tensor, "problems k"]:
    """Expected number of different valid answers among k of a problem's n samples, for every k.

    Σ over answers a of 1 - C(n - m_a, k) / C(n, k), m_a the number of samples that say a: rarefaction (Hurlbert 1971).
    At k = n it is the plain count, which is NoveltyBench's distinct_k where the answers are classes of equal meaning.

    Args:
        answers: of each problem, each sample's answer in its normal form (`Verdict.answer`) or the label of its
            cluster; None where it is not valid, which counts as a sample and as no answer.

    Returns:
        float64 [problems, largest n]; column k - 1 is that of k samples, NaN where k is more than a problem's own n.

    Raises:
        ValueError: there is no problem, or one has no sample.

    Examples:
        >>> distinct_at_k([["red", "red", "blue", None]])[0].round(decimals=2)
        tensor([0.7500, 1.3300, 1.7500, 2.0000], dtype=torch.float64)
    """
    if not answers or not all(answers):
        raise ValueError("answers must hold at least one problem, and at least one sample of each")
    widest = max(map(len, answers))
    rows: list[Tensor] = []
    for of_problem in answers:
        n = len(of_problem)
        counts = list(Counter(answer for answer in of_problem if answer is not None).values())
        found = chance_of_some(torch.tensor(counts, dtype=torch.int64), torch.full((len(counts),), n))
        # A problem without a valid answer has the sum over none, which is 0 for every k up to n.
        curve = found.sum(dim=0) if counts else torch.zeros(n, dtype=torch.float64)
        rows.append(torch.nn.functional.pad(curve, (0, widest - n), value=math.nan))
    return torch.stack(rows)


def chance_of_some(marked: Int[Tensor, " rows"], n: Int[Tensor, " rows"]) -> Float[Tensor, "rows k"]:
    """Probability that k of n things, drawn without replacement, hold one of the m marked ones, for k = 1 … max n.

    1 - C(n - m, k) / C(n, k) = 1 - Π_{i<k} (n - m - i) / (n - i): factors of at most 1, where binomials would overflow.
    """
    taken = torch.arange(int(n.max()) if len(n) else 0, dtype=torch.float64)
    left = (n - marked).unsqueeze(-1) - taken
    chance = 1 - (left.clamp_min(0) / (n.unsqueeze(-1) - taken).clamp_min(1)).cumprod(dim=-1)
    return chance.masked_fill(taken >= n.unsqueeze(-1), math.nan)


def clusters(embeddings: Float[Tensor, "n d"], threshold: float = 0.8) -> list[int]:
    """Label of each sample's cluster, for `distinct_at_k`: a sample joins the first cluster whose leader it is like.

    Leader clustering (Hartigan 1975): a sample without such a cluster leads a new one, so that labels count up in the
    order of the samples, and another order may give other clusters.

    Args:
        embeddings: L2-normalised rows, one for each sample.
        threshold: least cosine to the leader.

    Raises:
        TypeError: `threshold` is not a number.
        ValueError: `threshold` is outside [-1, 1], or the rows are not normalised.

    Examples:
        >>> clusters(torch.eye(3)[[0, 1, 0, 2]])
        [0, 1, 0, 2]
    """
    check_number("threshold", threshold, low=-1, high=1)
    check_normalised(embeddings)
    rows = embeddings.double()
    alike = (rows @ rows.T >= threshold).tolist()
    leaders: list[int] = []
    labels: list[int] = []
    for index in range(len(rows)):
        joined = next((label for label, leader in enumerate(leaders) if alike[index][leader]), len(leaders))
        if joined == len(leaders):
            leaders.append(index)
        labels.append(joined)
    return labels


def reentry_rate(labels: Sequence[Hashable]) -> float:
    """Share of the samples after the first that come where an earlier one has been: (n - clusters) / (n - 1).

    Args:
        labels: of each sample, its cluster (`clusters`) or its answer.

    Returns:
        0 where all samples differ, 1 where all are alike; NaN for fewer than two samples.

    Examples:
        >>> reentry_rate(["red", "blue", "red", "red", "green"])
        0.5
    """
    return (len(labels) - len(set(labels))) / (len(labels) - 1) if len(labels) > 1 else math.nan
