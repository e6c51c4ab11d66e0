"""Rewards of samples: any callable, held to its promise."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from typing import Any, cast

from esamp.checks import check_number
from esamp.result import Sample
from esamp.selection.base import check_samples
from esamp.selection.likelihood import mean_log_likelihood

__all__ = ["Reward", "load_reward", "reward_samples"]

Reward = Callable[[str, Sequence[str]], Sequence[float]]
"""Scores of texts after a prompt, more is better: `reward(prompt, texts)`, a list, array or tensor of numbers."""


def reward_samples(prompt: str, samples: Sequence[Sample], reward: Reward | None) -> list[float]:
    """The reward of each sample; None: how likely the model finds it, a token (`mean_log_likelihood`).

    Raises:
        TypeError: the reward gives something else than numbers.
        ValueError: there is no sample, or the reward gives another number of scores, or one that is not finite.
    """
    check_samples(samples)
    if reward is None:
        return [mean_log_likelihood(sample) for sample in samples]
    given: Any = reward(prompt, [sample.text for sample in samples])
    scores: list[Any] = given.tolist() if hasattr(given, "tolist") else list(given)
    if len(scores) != len(samples):
        raise ValueError(f"reward must give one score a text, got {len(scores)} for {len(samples)} texts")
    return [check_number(f"reward of sample {index}", score) for index, score in enumerate(scores)]


def load_reward(path: str) -> Reward:
    """The reward behind a dotted path, such as "my_package.my_reward".

    Raises:
        ValueError: it cannot be imported, or cannot be called.
    """
    try:
        found: Any = pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"reward {path!r} cannot be imported: {error}; give an importable dotted path") from error
    if not callable(found):
        raise ValueError(f"reward {path!r} must be a callable reward(prompt, texts), got {found!r}")
    return cast(Reward, found)
