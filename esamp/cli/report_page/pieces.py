"""A sample's text cut into its tokens, fast enough for every sample of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from esamp.cli.page.tokens import token_texts
from esamp.engines.huggingface.embedded import EMBEDDED_NAME, embedded_model
from esamp.studies.step_curves import Decode

__all__ = ["TokenCutter", "local_decoder"]


@final
class TokenCutter:
    """Cuts texts into what each token adds to them.

    A token decoded alone is decoded once for all samples. Where those pieces do not make up the text (a character of
    several tokens, a space that shows only after another token), the sample is decoded prefix by prefix.

    Args:
        decode: token ids to text.
    """

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._alone: dict[int, str] = {}

    def __call__(self, text: str, ids: Sequence[int]) -> list[str] | None:
        """The pieces, empty where a token adds nothing (special tokens, a stop string that was cut off).

        Returns:
            One piece a token, together `text`; None where the tokens say something else than the text.
        """
        pieces = [self._piece(token) for token in ids]
        if not "".join(pieces).startswith(text):
            pieces = token_texts(lambda prefix: self._decode(list(prefix)), ids)
        if not "".join(pieces).startswith(text):
            return None
        return _clip(pieces, len(text))

    def _piece(self, token: int) -> str:
        if token not in self._alone:
            self._alone[token] = self._decode([token])
        return self._alone[token]


def _clip(pieces: list[str], length: int) -> list[str]:
    clipped: list[str] = []
    for piece in pieces:
        clipped.append(piece[:length])
        length -= len(clipped[-1])
    return clipped


def local_decoder(model: str) -> Decode | None:
    """Decodes with the tokenizer of a model, if it is on this machine: a report asks no network for anything.

    Args:
        model: its name, as `ESampSampler.from_pretrained` takes it.
    """
    from transformers import AutoTokenizer

    try:
        source = embedded_model() if model == EMBEDDED_NAME else model
        tokenizer: Any = AutoTokenizer.from_pretrained(source, local_files_only=True)
    # Whatever is wrong with a tokenizer that is only wanted for colours, the report does without.
    except Exception:
        return None
    return lambda ids: tokenizer.decode(ids, skip_special_tokens=True)
