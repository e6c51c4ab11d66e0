"""Coverage over batches and processes, as torchmetrics has it: update, compute, reset, and a synchronised state."""

from __future__ import annotations

from abc import ABC
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from esamp.metrics.coverage import distinct_at_k, pass_at_k

__all__ = ["DistinctAtK", "PassAtK"]


class _Accumulated(Metric, ABC):
    """Its states are concatenated over batches and over processes, whose problems follow each other by rank."""

    is_differentiable: bool | None = False
    full_state_update: bool | None = False

    def __init__(self, names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in names:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def _append(self, name: str, values: Sequence[int]) -> None:
        getattr(self, name).append(torch.tensor(values, dtype=torch.int64, device=self.device))

    def _all(self, name: str) -> list[int]:
        # One process alone has a list of batches, several have a tensor already.
        values = getattr(self, name)
        return dim_zero_cat(values).tolist() if len(values) else []


@final
class PassAtK(_Accumulated):
    """`esamp.metrics.pass_at_k` over batches and processes.

    `compute` gives the values of each problem, [problems, k]: their mean over problems is the number, and they are what
    `mean_interval` and `paired_difference` take. (One value alone torchmetrics gives as a scalar.) Each process is to
    have problems of its own: a sampler that repeats some to even out the processes would count them twice.

    Args:
        **kwargs: of `torchmetrics.Metric`.

    Examples:
        >>> metric = PassAtK()
        >>> metric.update([1], n=2)
        >>> metric.update([0], n=2)
        >>> metric.compute().mean(dim=0)
        tensor([0.2500, 0.5000], dtype=torch.float64)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(("correct", "samples"), **kwargs)

    @override
    def update(self, correct: Sequence[int], n: int | Sequence[int]) -> None:
        """Take in some problems.

        Args:
            correct: how many of each problem's samples are right.
            n: how many samples were drawn, of each problem or of every one.

        Raises:
            TypeError: a count is not an integer.
            ValueError: there is no problem, the lengths differ, or a count is out of range.
        """
        pass_at_k(correct, n)  # refuses what could not be computed later
        self._append("correct", correct)
        self._append("samples", [n] * len(correct) if isinstance(n, int) else n)

    @override
    def compute(self) -> Float[Tensor, "problems k"]:
        """pass@k of each problem so far, of all processes.

        Raises:
            ValueError: there is no problem.
        """
        return pass_at_k(self._all("correct"), self._all("samples"))


@final
class DistinctAtK(_Accumulated):
    """`esamp.metrics.distinct_at_k` over batches and processes: distinct valid answers of k samples.

    Args:
        **kwargs: of `torchmetrics.Metric`.

    Examples:
        >>> metric = DistinctAtK()
        >>> metric.update([["red", "blue"]])
        >>> metric.update([["red", None]])
        >>> metric.compute().mean(dim=0)
        tensor([0.7500, 1.5000], dtype=torch.float64)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(("labels", "samples"), **kwargs)

    @override
    def update(self, answers: Sequence[Sequence[Hashable | None]]) -> None:
        """Take in some problems.

        Args:
            answers: of each problem, each sample's answer in its normal form; None where it is not valid.

        Raises:
            ValueError: there is no problem, or one has no sample.
        """
        distinct_at_k(answers)  # refuses what could not be computed later
        for of_problem in answers:
            # Processes exchange numbers, not texts: only which samples of a problem agree counts.
            numbers = {answer: label for label, answer in enumerate(Counter(of_problem))} | {None: -1}
            self._append("labels", [numbers[answer] for answer in of_problem])
        self._append("samples", [len(of_problem) for of_problem in answers])

    @override
    def compute(self) -> Float[Tensor, "problems k"]:
        """Distinct valid answers of each problem so far, of all processes.

        Raises:
            ValueError: there is no problem.
        """
        labels = iter(self._all("labels"))
        answers = [[next(labels) for _ in range(n)] for n in self._all("samples")]
        return distinct_at_k([[None if label < 0 else label for label in of_problem] for of_problem in answers])
