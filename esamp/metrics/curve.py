"""When the samples part: their mean cosine over the decoding steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Int
from torch import Tensor

from esamp.checks import check_integer
from esamp.metrics.cosine import mean_pairwise_cosine
from esamp.metrics.embedding import Embedder

__all__ = ["cosine_curve"]

_STEPS = (8, 16, 32, 64, 128, 256)


def cosine_curve(
    token_ids: Sequence[Int[Tensor, " _"]],
    decode: Callable[[list[int]], str],
    embedder: Embedder,
    steps: Sequence[int] = _STEPS,
) -> dict[int, float]:
    """Mean pairwise cosine of the first t tokens of a prompt's samples, for each t of `steps`.

    A sample that has ended stays what it is at later steps. Steps beyond the longest sample are left out, since nothing
    is said there; a single sample has NaN everywhere.

    Args:
        token_ids: of each sample (`Sample.token_ids`).
        decode: turns token ids into text, such as `lambda ids: tokenizer.decode(ids, skip_special_tokens=True)`.
        embedder: of the texts, `MiniLM()` for one.
        steps: numbers of tokens.

    Raises:
        TypeError: a step is not an integer.
        ValueError: a step is less than 1, or there is no sample.

    Examples:
        Two samples that part after two tokens:

        >>> import torch
        >>> token_ids = [torch.tensor([5, 6, 7, 8]), torch.tensor([5, 6, 9, 9])]
        >>> def embed(texts: list[str]) -> torch.Tensor:
        ...     numbers = torch.tensor([[float(text.count(str(digit))) for digit in range(10)] for text in texts])
        ...     return torch.nn.functional.normalize(numbers, dim=-1)
        >>> from esamp.metrics import Embedder
        >>> embedder: Embedder = embed
        >>> curve = cosine_curve(token_ids, lambda ids: " ".join(map(str, ids)), embedder, steps=(1, 2, 3, 4, 8))
        >>> {step: round(cosine, 2) for step, cosine in curve.items()}
        {1: 1.0, 2: 1.0, 3: 0.67, 4: 0.41}
    """
    if not token_ids:
        raise ValueError("token_ids must hold at least one sample, got none")
    ids = [sample.tolist() for sample in token_ids]
    longest = max(map(len, ids))
    checked = [check_integer(f"steps[{index}]", step, low=1) for index, step in enumerate(steps)]
    return {
        step: mean_pairwise_cosine(embedder([decode(sample[:step]) for sample in ids]))
        for step in checked
        if step <= longest
    }
