"""The frozen LM head as tensors: logits of any hidden state, for the whole vocabulary or for candidates only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.candidates import Candidates
from esamp.functional import error_norm
from esamp.kernels.candidate_head import candidate_errors, candidate_logits

__all__ = ["Head"]

# One product with all of W beats gathering rows of it above this share of the vocabulary, for few rows: then it is read
# once. For many it is arithmetic, and the share goes up by 1 with so many rows.
_DENSE_SHARE = 0.25
_ROWS_A_SHARE = 64


@dataclass(frozen=True)
class Head:
    """z = c tanh(s (W h + b) / c): weight, bias b, logit scale s and soft-cap c, each where the architecture has it.

    Attributes:
        weight: W, [vocab, d], in the model's dtype.
        bias: b, [vocab] or None.
        scale: s; 1 for most models.
        softcap: c (Gemma 2's soft-capping) or None.

    Examples:
        >>> from esamp.candidates import Filters
        >>> head, hidden = Head(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])), torch.tensor([[2.0, 1.0]])
        >>> head.full(hidden)
        tensor([[2., 1., 3.]])
        >>> candidates = Filters(top_k=2).select(head.full(hidden))
        >>> head.at(hidden, candidates)
        tensor([[2., 3.]])
    """

    weight: Float[Tensor, "vocab d"]
    bias: Float[Tensor, " vocab"] | None = None
    scale: float = 1.0
    softcap: float | None = None

    @property
    def linear(self) -> bool:
        """A mix of hidden states gives the same mix of logits: there is no soft-cap."""
        return self.softcap is None

    @property
    def vocabulary(self) -> int:
        """Number of tokens the head scores."""
        return self.weight.shape[0]

    def full(self, hidden: Float[Tensor, "rows d"]) -> Float[Tensor, "rows vocab"]:
        """Logits of the whole vocabulary, float32."""
        logits = (hidden.to(self.weight.dtype) @ self.weight.T).float()
        return self._finish(logits if self.bias is None else logits + self.bias.float())

    def at(self, hidden: Float[Tensor, "rows d"], candidates: Candidates) -> Float[Tensor, "rows candidates"]:
        """Logits of the candidates only, float32; 0 in empty places.

        Dot products with the candidates' rows of W; where the lists are long, one projection and a gather.
        """
        if self._is_long(candidates):
            return self._picked(hidden, candidates)
        return candidate_logits(
            hidden, self.weight, candidates.ids, candidates.mask, self.bias, self.scale, self.softcap
        )

    def errors_at(
        self, deep: Float[Tensor, "rows d"], predicted: Float[Tensor, "rows d"], candidates: Candidates
    ) -> tuple[Float[Tensor, "rows candidates"], Float[Tensor, " rows"]]:
        """`at` of a prediction, and how far it is from hᴸ in each row, ‖hᴸ - ĥᴸ‖: where kernels run, in one launch.

        The distance is not finite where the prediction is not.
        """
        if self._is_long(candidates):
            return self._picked(predicted, candidates), error_norm(deep.float(), predicted)
        return candidate_errors(
            deep, predicted, self.weight, candidates.ids, candidates.mask, self.bias, self.scale, self.softcap
        )

    def mixed(
        self,
        deep: Float[Tensor, "rows d"],
        predicted: Float[Tensor, "rows d"],
        a: Float[Tensor, " rows"],
        b: Float[Tensor, " rows"],
    ) -> Float[Tensor, "rows vocab"]:
        """a·z - b·ẑ with one projection instead of two: W(a hᴸ - b ĥᴸ) + (a - b) bias. For linear heads only."""
        a, b = a.unsqueeze(-1), b.unsqueeze(-1)
        logits = ((a * deep.float() - b * predicted.float()).to(self.weight.dtype) @ self.weight.T).float()
        return self._finish(logits if self.bias is None else logits + (a - b) * self.bias.float())

    def _is_long(self, candidates: Candidates) -> bool:
        """The lists are so long that one projection costs less."""
        rows = len(candidates.ids)
        share = _DENSE_SHARE + rows / _ROWS_A_SHARE
        return candidates.whole_vocabulary or candidates.ids.numel() > share * self.vocabulary

    def _picked(self, hidden: Tensor, candidates: Candidates) -> Tensor:
        if candidates.whole_vocabulary:
            return self.full(hidden)
        return self.full(hidden).gather(-1, candidates.ids).masked_fill(~candidates.mask, 0.0)

    def _finish(self, logits: Tensor) -> Tensor:
        if self.scale != 1.0:
            logits = logits * self.scale
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)
