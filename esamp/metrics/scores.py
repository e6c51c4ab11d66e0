"""All scores of one run together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from statistics import fmean

from esamp.metrics.cosine import mean_pairwise_cosine
from esamp.metrics.distinct import distinct_n, repetition
from esamp.metrics.embedding import Embedder
from esamp.metrics.perplexity import perplexity
from esamp.metrics.vendi import vendi_score
from esamp.result import GenerationResult, Sample

__all__ = ["Scores", "score", "score_samples"]


@dataclass(frozen=True)
class Scores:
    """How different the samples are, and at what price. NaN where a score is undefined or was not measured.

    Attributes:
        vendi: effective number of different samples, 1 to n (Vendi score of the sentence embeddings).
        cosine: mean pairwise cosine of the sentence embeddings; NaN for one sample.
        distinct_2: different word pairs over all word pairs of a prompt's samples.
        repetition: share of a sample's word 4-grams that it has said before.
        perplexity: of the tokens under the model alone.
        mean_length: tokens a sample.
        tokens_per_second: of the whole run.
    """

    vendi: float
    cosine: float
    distinct_2: float
    repetition: float
    perplexity: float
    mean_length: float
    tokens_per_second: float = math.nan

    @classmethod
    def mean(cls, parts: Sequence[Scores]) -> Scores:
        """The plain mean of each score, NaN where one of them is.

        Raises:
            ValueError: there is nothing to average.
        """
        if not parts:
            raise ValueError("parts must hold at least one Scores, got none")
        return cls(*(fmean(getattr(part, field.name) for part in parts) for field in fields(cls)))


def score(result: GenerationResult, embedder: Embedder | None, seconds: float | None = None) -> Scores:
    """The scores of each prompt's samples, averaged over prompts.

    Args:
        result: what `generate` gave back.
        embedder: for Vendi and cosine, `MiniLM()` for one; None: they are not measured.
        seconds: how long the run took, for tokens/s; None: that is not measured.
    """
    means = Scores.mean([score_samples(samples, embedder) for samples in result.samples])
    if seconds is None:
        return means
    return replace(means, tokens_per_second=result.tokens / seconds)


def score_samples(samples: Sequence[Sample], embedder: Embedder | None) -> Scores:
    """The scores of the samples of one prompt, but for tokens/s.

    Args:
        samples: at least one.
        embedder: for Vendi and cosine; None: they are not measured.

    Examples:
        >>> from esamp import ESampSampler
        >>> from esamp.testing.models import tiny_model, tiny_tokenizer
        >>> sampler = ESampSampler(tiny_model(), tiny_tokenizer())
        >>> samples = sampler.generate("Hello", n=4, max_new_tokens=8, ignore_eos=True).samples[0]
        >>> scores: Scores = score_samples(samples, embedder=None)
        >>> scores.mean_length, scores.vendi, scores.perplexity > 1
        (8.0, nan, True)
    """
    texts = [sample.text for sample in samples]
    embeddings = None if embedder is None else embedder(texts)
    return Scores(
        vendi=math.nan if embeddings is None else vendi_score(embeddings),
        cosine=math.nan if embeddings is None else mean_pairwise_cosine(embeddings),
        distinct_2=distinct_n(texts, 2),
        repetition=repetition(texts, 4),
        perplexity=perplexity([sample.reference_log_probs for sample in samples]),
        mean_length=fmean(len(sample.token_ids) for sample in samples),
    )
