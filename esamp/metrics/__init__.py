"""Scores of samples: pure functions, one topic a file. What accumulates over batches is in `esamp.metrics.stateful`."""

from esamp.metrics.cosine import mean_pairwise_cosine, relevance
from esamp.metrics.coverage import clusters, distinct_at_k, pass_at_k, reentry_rate
from esamp.metrics.curve import cosine_curve
from esamp.metrics.distinct import distinct_n, repetition
from esamp.metrics.embedding import Embedder, MiniLM
from esamp.metrics.endings import is_looping, looping_rate, truncation_rate
from esamp.metrics.intervals import Interval, curve_intervals, mean_interval
from esamp.metrics.kept_embeddings import KeptEmbeddings
from esamp.metrics.paired import PairedDifference, paired_difference, sign_flip_p_value
from esamp.metrics.perplexity import log_probs_under, perplexity, perplexity_under
from esamp.metrics.scores import Scores, score, score_samples
from esamp.metrics.self_bleu import self_bleu
from esamp.metrics.vendi import vendi_score

__all__ = [
    "Embedder",
    "Interval",
    "KeptEmbeddings",
    "MiniLM",
    "PairedDifference",
    "Scores",
    "clusters",
    "cosine_curve",
    "curve_intervals",
    "distinct_at_k",
    "distinct_n",
    "is_looping",
    "log_probs_under",
    "looping_rate",
    "mean_interval",
    "mean_pairwise_cosine",
    "paired_difference",
    "pass_at_k",
    "perplexity",
    "perplexity_under",
    "reentry_rate",
    "relevance",
    "repetition",
    "score",
    "score_samples",
    "self_bleu",
    "sign_flip_p_value",
    "truncation_rate",
    "vendi_score",
]
