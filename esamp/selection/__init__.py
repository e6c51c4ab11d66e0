"""What is done with n samples of a prompt: a vote, the best of them, an order, or a subset that differs."""

from esamp.selection.base import Selection, Selector, parse_selector, select, selectors
from esamp.selection.best_of_n import BestOfN, Rerank, best_of_n, rerank
from esamp.selection.diverse_subset import DiverseSubset, diverse_subset
from esamp.selection.likelihood import log_likelihood, mean_log_likelihood
from esamp.selection.majority import Majority, majority
from esamp.selection.normal_form import last_match, normal_text
from esamp.selection.rewards import Reward, reward_samples

__all__ = [
    "BestOfN",
    "DiverseSubset",
    "Majority",
    "Rerank",
    "Reward",
    "Selection",
    "Selector",
    "best_of_n",
    "diverse_subset",
    "last_match",
    "log_likelihood",
    "majority",
    "mean_log_likelihood",
    "normal_text",
    "parse_selector",
    "rerank",
    "reward_samples",
    "select",
    "selectors",
]
