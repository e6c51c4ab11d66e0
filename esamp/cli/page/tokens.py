"""The text of each token, so that the pieces put together read as the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["token_texts"]

_UNFINISHED = "�"


def token_texts(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> list[str]:
    """What each token adds to the text; together they are `decode(ids)`.

    A token alone often has no text of its own: it may be a part of a character, or begin with a space that only shows
    after another token. So each one's text is what the decoded prefix gains by it. Bytes of an unfinished character
    wait for the token that finishes it; special tokens add nothing.

    Args:
        decode: token ids to text.
        ids: the tokens of one sample.
    """
    texts: list[str] = []
    done = ""
    for end in range(1, len(ids) + 1):
        prefix = decode(ids[:end])
        waits = end < len(ids) and (prefix.endswith(_UNFINISHED) or not prefix.startswith(done))
        texts.append("" if waits else prefix[len(done) :])
        done = done if waits else prefix
    return texts
