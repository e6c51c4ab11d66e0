"""What a prediction leaves for the step that learns from it."""

from __future__ import annotations

from typing import Generic, TypeVar, final

import torch
from torch import Tensor

__all__ = ["Recall"]

T = TypeVar("T")


@final
class Recall(Generic[T]):
    """Something made from tensors, found again as long as these very tensors have not been written since.

    `learn` is mostly given the tensor that `forward` of the same step was given. A distiller that keeps what `forward`
    made from it, and from its weights, need not make it twice; where another tensor comes, or the weights have moved,
    nothing is found. Tensors are told by identity and version, which asks no device. What writes them behind PyTorch's
    back, as a kernel does, must `forget`.

    A copy remembers nothing.

    Examples:
        >>> given, recall = torch.zeros(1), Recall()
        >>> recall.keep("made", given)
        >>> recall.find(given), recall.find(given.clone())
        ('made', None)
        >>> given += 1
        >>> recall.find(given) is None
        True
    """

    def __init__(self) -> None:
        self._kept: tuple[T, list[tuple[Tensor, int]]] | None = None

    def keep(self, made: T, *given: Tensor) -> None:
        """Remember what was made from these tensors, and nothing else."""
        # Tensors of inference mode count no versions, and no gradient goes through them.
        inference = torch.is_inference_mode_enabled() or any(tensor.is_inference() for tensor in given)
        self._kept = None if inference else (made, [(tensor, _version(tensor)) for tensor in given])

    def find(self, *given: Tensor) -> T | None:
        """What was made from these tensors; None where they are not the same, or not any more."""
        if self._kept is None:
            return None
        made, known = self._kept
        same = all(old is new and version == _version(new) for (old, version), new in zip(known, given, strict=True))
        return made if same else None

    def forget(self) -> None:
        """Let go of what is kept."""
        self._kept = None

    def __reduce__(self) -> tuple[type[Recall[T]], tuple[()]]:
        return Recall, ()


def _version(tensor: Tensor) -> int:
    return tensor._version  # pyright: ignore[reportPrivateUsage]  (PyTorch has no other name for it)
