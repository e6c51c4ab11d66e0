"""The measures of a report: what each is called, what it says, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

__all__ = ["GUARDS", "HEADLINES", "MEASURES", "Measure"]


@final
@dataclass(frozen=True)
class Measure:
    """A score of the n samples of a problem.

    Attributes:
        label: at the head of a column.
        form: how a value is written.
        meaning: what it says, in a few words.
        better: 1 where more is better, -1 where less is; 0 where it depends.
    """

    label: str
    form: str
    meaning: str
    better: int


MEASURES = {
    "pass": Measure("pass@n", ".1%", "some sample of the n is right", 1),
    "answers": Measure("valid answers", ".2f", "distinct right answers among the n samples", 1),
    "valid": Measure("valid", ".1%", "share of samples that are right: pass@1", 1),
    "vendi": Measure("Vendi", ".2f", "how many samples differ in effect", 1),
    "cosine": Measure("cosine", ".3f", "how alike two samples are", -1),
    "reentry": Measure("re-entry", ".0%", "samples that join the cluster of an earlier one (cosine 0.7)", -1),
    "perplexity": Measure("perplexity", ".2f", "the model's own surprise at the samples", 0),
    "repetition": Measure("repetition", ".1%", "word 4-grams that a sample repeats: loops", -1),
    "looping": Measure("looping", ".0%", "samples that end in a loop of tokens", -1),
    "distinct_2": Measure("distinct-2", ".3f", "different word pairs over all word pairs", 1),
    "length": Measure("tokens", ".0f", "length of a sample", 0),
    "cut": Measure("cut off", ".0%", "samples that ran into the token limit", -1),
    "relevance": Measure("relevance", ".3f", "cosine of prompt and sample", 1),
}
"""By name, in the order of the tables: what counts first, then the guards against being fooled."""

HEADLINES = ("pass", "answers")
"""What a verified task is judged by; another one is judged by Vendi at equal perplexity."""

GUARDS = ("valid", "repetition", "looping", "relevance")
"""What must not be worse than plain sampling's, or a gain is not to be trusted."""
