"""Scores of samples: pure functions, one topic a file."""

from esamp.metrics.cosine import mean_pairwise_cosine
from esamp.metrics.distinct import distinct_n, repetition
from esamp.metrics.embedding import Embedder, MiniLM
from esamp.metrics.intervals import Interval, curve_intervals, mean_interval
from esamp.metrics.perplexity import perplexity
from esamp.metrics.scores import Scores, score, score_samples
from esamp.metrics.vendi import vendi_score

__all__ = [
    "Embedder",
    "Interval",
    "MiniLM",
    "Scores",
    "curve_intervals",
    "distinct_n",
    "mean_interval",
    "mean_pairwise_cosine",
    "perplexity",
    "repetition",
    "score",
    "score_samples",
    "vendi_score",
]
