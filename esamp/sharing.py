"""Who shares a distiller. By default the samples of one prompt, and no two prompts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.checks import check_number
from esamp.registry import Registry

__all__ = ["ByKey", "BySimilarity", "PerPrompt", "PerSample", "Sharing", "WholeBatch", "sharings"]


class Sharing(ABC):
    """Puts prompts into groups; the samples of a group's prompts share one distiller.

    Attributes:
        per_sample: only samples of equal index share; those of one prompt do not.

    Examples:
        Prompts of one length share, under a strategy of one's own:

        >>> class ByLength(Sharing):
        ...     def groups(self, texts: list[str]) -> list[int]:
        ...         return ByKey([len(text) for text in texts]).groups(texts)
        >>> ByLength().groups(["one", "three", "two"])
        [0, 1, 0]
    """

    per_sample: ClassVar[bool] = False

    @abstractmethod
    def groups(self, texts: Sequence[str]) -> list[int]:
        """The group of each prompt: numbers from 0 in order of first appearance."""


sharings: Registry[Sharing] = Registry("sharing", Sharing)
"""Registry of the sharing strategies."""


@final
@sharings.register("per_prompt")
class PerPrompt(Sharing):
    """Every prompt has its own distiller, equal texts too: nothing is shared.

    Examples:
        >>> PerPrompt().groups(["a", "b", "a"])
        [0, 1, 2]
    """

    @override
    def groups(self, texts: Sequence[str]) -> list[int]:
        return list(range(len(texts)))


@final
@sharings.register("per_sample")
class PerSample(Sharing):
    """Every sample has its own distiller: it can avoid what it has written itself, and knows nothing of its siblings.

    The control that shows what the samples of a prompt gain by sharing one.

    Examples:
        >>> PerSample().groups(["a", "b"]), PerSample().per_sample
        ([0, 1], True)
    """

    per_sample: ClassVar[bool] = True

    @override
    def groups(self, texts: Sequence[str]) -> list[int]:
        return list(range(len(texts)))


@final
@sharings.register("whole_batch")
class WholeBatch(Sharing):
    """One distiller for all prompts of the call.

    Examples:
        >>> sharings.build("whole_batch").groups(["a", "b", "a"]), WholeBatch().groups(["a"])
        ([0, 0, 0], [0])
    """

    @override
    def groups(self, texts: Sequence[str]) -> list[int]:
        return [0] * len(texts)


@final
class ByKey(Sharing):
    """Prompts with equal keys share.

    Args:
        keys: one for each prompt of the call.

    Examples:
        >>> ByKey(["poem", "proof", "poem"]).groups(["x", "y", "z"])
        [0, 1, 0]
    """

    def __init__(self, keys: Sequence[Hashable]) -> None:
        self.keys: list[Hashable] = list(keys)

    @override
    def groups(self, texts: Sequence[str]) -> list[int]:
        if len(self.keys) != len(texts):
            raise ValueError(f"keys must hold one key for each of the {len(texts)} prompts, got {len(self.keys)}")
        order = {key: index for index, key in enumerate(dict.fromkeys(self.keys))}
        return [order[key] for key in self.keys]


@final
class BySimilarity(Sharing):
    """A prompt joins the first group whose first prompt it resembles, else it opens one.

    Args:
        embed: texts to L2-normalised embeddings [texts, d], such as `esamp.metrics.MiniLM()`.
        threshold: smallest cosine, in [-1, 1].

    Raises:
        ValueError: the threshold is out of range.

    Examples:
        >>> import torch
        >>> def embed(texts: list[str]) -> torch.Tensor:
        ...     return torch.eye(26)[[ord(text[0]) - ord("a") for text in texts]]
        >>> BySimilarity(embed).groups(["apples", "bananas", "apricots"])
        [0, 1, 0]
    """

    def __init__(self, embed: Callable[[Sequence[str]], Float[Tensor, "texts d"]], threshold: float = 0.7) -> None:
        self.embed = embed
        self.threshold: float = check_number("threshold", threshold, low=-1, high=1)

    @override
    def groups(self, texts: Sequence[str]) -> list[int]:
        vectors = self.embed(texts)
        leaders: list[int] = []
        found: list[int] = []
        for index in range(len(texts)):
            near = (vectors[leaders] @ vectors[index] >= self.threshold).tolist() if leaders else []
            if not any(near):
                leaders.append(index)
            found.append(near.index(True) if any(near) else len(leaders) - 1)
        return found
