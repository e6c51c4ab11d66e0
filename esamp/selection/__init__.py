"""What is done with n samples of a prompt: a vote, the best of them, an order, or a subset that differs.

Examples:
    Three samples of a prompt, as a model might have written them:

    >>> from esamp.selection import *
    >>> import torch
    >>> from dataclasses import replace
    >>> from esamp import ESampSampler
    >>> from esamp.testing.models import tiny_model, tiny_tokenizer
    >>> result = ESampSampler(tiny_model(), tiny_tokenizer()).generate("6 x 7 =", n=3, max_new_tokens=4)
    >>> texts = ["It is 42.", "I would say 41", "42, of course"]
    >>> samples = [replace(sample, text=text) for sample, text in zip(result.samples[0], texts)]

    A vote, the best by a reward, and all in its order:

    >>> voted: Selection = Majority(last_match("[0-9]+"))("6 x 7 =", samples)
    >>> voted.samples[0].text, voted.reason
    ('It is 42.', "'42', as 2 of 3 say")
    >>> brief: Reward = lambda prompt, texts: [-len(text) for text in texts]
    >>> reward_samples("6 x 7 =", samples, brief)
    [-9.0, -14.0, -13.0]
    >>> BestOfN(brief)("6 x 7 =", samples).samples[0].text
    'It is 42.'
    >>> [sample.text for sample in Rerank(brief)("6 x 7 =", samples).samples]
    ['It is 42.', '42, of course', 'I would say 41']

    A subset that differs, by any embedding (`MiniLM` by default), and a selector as the command line spells it:

    >>> def embed(texts):
    ...     return torch.tensor([[float("42" in text), float("41" in text)] for text in texts])
    >>> DiverseSubset(2, embed)("6 x 7 =", samples).scores
    [1.0, 2.0]
    >>> selector: Selector = parse_selector("majority:[0-9]+")
    >>> selector("6 x 7 =", samples).scores
    [0.6666666666666666]
    >>> selectors.names()
    ['best', 'diverse', 'majority', 'rerank']
"""

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
