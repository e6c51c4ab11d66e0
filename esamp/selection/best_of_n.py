"""Best of n, and all n in order: by any reward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from typing_extensions import override

from esamp.result import Sample
from esamp.selection.base import Selection, Selector, selectors
from esamp.selection.rewards import Reward, load_reward, reward_samples

__all__ = ["BestOfN", "Rerank", "best_of_n", "rerank"]


def rerank(prompt: str, samples: Sequence[Sample], reward: Reward | None = None) -> Selection:
    """All samples, the largest reward first; ties stay in the order of the samples.

    Args:
        prompt: as the model saw it.
        samples: of that prompt, at least one.
        reward: `reward(prompt, texts)`, called once; None: how likely the model finds a sample, a token.

    Raises:
        TypeError: the reward gives something else than numbers.
        ValueError: there is no sample, or the reward gives another number of scores, or one that is not finite.
    """
    scores = reward_samples(prompt, samples, reward)
    order = sorted(range(len(samples)), key=lambda index: -scores[index])
    what = "log-likelihood a token" if reward is None else "reward"
    reason = f"{what} from {scores[order[0]]:.4g} down to {scores[order[-1]]:.4g}"
    return Selection([samples[index] for index in order], [scores[index] for index in order], reason)


def best_of_n(prompt: str, samples: Sequence[Sample], reward: Reward | None = None) -> Selection:
    """The sample with the largest reward, the earliest of equals: argmax over i of r(prompt, x_i).

    Args and errors are those of `rerank`.
    """
    ranked = rerank(prompt, samples, reward)
    what = "log-likelihood a token" if reward is None else "reward"
    reason = f"{what} {ranked.scores[0]:.4g}, the largest of {len(samples)}"
    return Selection(ranked.samples[:1], ranked.scores[:1], reason)


class _ByReward(Selector):
    """A selector with a reward."""

    def __init__(self, reward: Reward | None = None) -> None:
        self.reward = reward

    @classmethod
    @override
    def parse(cls, argument: str | None) -> Selector:
        """The argument is the dotted path of a reward."""
        return cls(None if argument is None else load_reward(argument))


@final
@selectors.register("best")
class BestOfN(_ByReward):
    """`best_of_n` with its reward.

    Args:
        reward: `reward(prompt, texts)`; None: how likely the model finds a sample, a token.
    """

    @override
    def __call__(self, prompt: str, samples: Sequence[Sample]) -> Selection:
        return best_of_n(prompt, samples, self.reward)


@final
@selectors.register("rerank")
class Rerank(_ByReward):
    """`rerank` with its reward.

    Args:
        reward: `reward(prompt, texts)`; None: how likely the model finds a sample, a token.
    """

    @override
    def __call__(self, prompt: str, samples: Sequence[Sample]) -> Selection:
        return rerank(prompt, samples, self.reward)
