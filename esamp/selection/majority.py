"""Self-consistency: the answer that most samples give."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import final

from typing_extensions import override

from esamp.result import Sample
from esamp.selection.base import Selection, Selector, check_samples, selectors
from esamp.selection.normal_form import Answer, last_match, normal_text

__all__ = ["Majority", "majority"]


def majority(
    samples: Sequence[Sample], answer: Answer = normal_text, log_weight: Callable[[Sample], float] | None = None
) -> Selection:
    """The first sample of each answer, the most voted answer first: argmax over a of Σ_i w_i 1[a_i = a].

    Self-consistency (Wang et al. 2023, sec. 2). Samples without an answer have no vote. Ties go to the answer that was
    given first. Its scores are shares of all votes.

    Args:
        samples: of one prompt, at least one.
        answer: of a text, in its normal form; of a task: `lambda text: task.verify(problem, text).answer`.
        log_weight: log w of a sample, such as `mean_log_likelihood`; None: every vote counts the same.

    Returns:
        One sample for each different answer; none where no sample has an answer.

    Raises:
        ValueError: there is no sample, or a weight is not a finite number.
    """
    check_samples(samples)
    ballots: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        said = answer(sample.text)
        if said is not None:
            ballots.setdefault(said, []).append(index)
    logs = [0.0 if log_weight is None else log_weight(sample) for sample in samples]
    for index, value in enumerate(logs):
        if not math.isfinite(value):
            raise ValueError(f"log_weight must give finite numbers, got {value!r} for sample {index}")
    # Weights of long samples underflow: they are taken relative to the largest.
    largest = max((logs[index] for voters in ballots.values() for index in voters), default=0.0)
    votes = {said: math.fsum(math.exp(logs[i] - largest) for i in voters) for said, voters in ballots.items()}
    ranked = sorted(ballots, key=lambda said: -votes[said])
    return Selection(
        [samples[ballots[said][0]] for said in ranked],
        [votes[said] / math.fsum(votes.values()) for said in ranked],
        _reason(ranked[0], len(ballots[ranked[0]]), len(samples)) if ranked else "no sample has an answer",
    )


def _reason(said: str, voters: int, n: int) -> str:
    return f"{said if len(said) <= 60 else said[:59] + '…'!r}, as {voters} of {n} say"


@final
@selectors.register("majority")
class Majority(Selector):
    """`majority` with its arguments: the first sample that gives the winning answer, and nothing but it.

    Args:
        answer: of a text, in its normal form.
        log_weight: log weight of a sample's vote; None: every vote counts the same.
    """

    def __init__(self, answer: Answer = normal_text, log_weight: Callable[[Sample], float] | None = None) -> None:
        self.answer = answer
        self.log_weight = log_weight

    @override
    def __call__(self, prompt: str, samples: Sequence[Sample]) -> Selection:
        ranked = majority(samples, self.answer, self.log_weight)
        return Selection(ranked.samples[:1], ranked.scores[:1], ranked.reason)

    @classmethod
    @override
    def parse(cls, argument: str | None) -> Majority:
        """The argument is a regular expression whose last match is the answer."""
        return cls() if argument is None else cls(last_match(argument))
