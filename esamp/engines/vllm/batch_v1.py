"""Model runner V1: a request is where its row is, and the runner says how rows move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality

from esamp.engines.vllm.requests import parse
from esamp.engines.vllm.roster import Member, Roster
from esamp.engines.vllm.step import Place

__all__ = ["BatchV1"]


@dataclass(frozen=True)
class _Row:
    member: Member
    tokens: list[int]
    """The runner's own list of the request's tokens, which grows; with asynchronous scheduling its length is right
    although its last entries are not there yet."""


class BatchV1:
    """The members by the index of their rows.

    Args:
        roster: whom they belong to.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._rows: dict[int, _Row] = {}

    def update(self, change: BatchUpdate) -> None:
        """Requests left, came and moved, in this order."""
        # A new request often takes the row of one that has ended, which then is not among the removed. All that have
        # ended leave first, so that their groups make room for the new ones.
        for index in (*change.removed, *(index for index, *_ in change.added)):
            self._leave(index)
        for index, params, prompt, tokens in change.added:
            self._come(index, params, prompt, tokens)
        for source, target, direction in change.moved:
            moving, other = self._rows.pop(source, None), self._rows.pop(target, None)
            if moving is not None:
                self._rows[target] = moving
            if other is not None and direction is MoveDirectionality.SWAP:
                self._rows[source] = other
            elif other is not None:
                self._gone(other)

    def places(self, rows: int) -> list[Place]:
        """The rows of this step that use ESamp."""
        return [Place(index, row.member, len(row.tokens)) for index, row in sorted(self._rows.items()) if index < rows]

    def _leave(self, index: int) -> None:
        row = self._rows.pop(index, None)
        if row is not None:
            self._gone(row)

    def _gone(self, row: _Row) -> None:
        self._roster.leave(row.member)
        self._roster.lose(row.member, len(row.tokens))

    def _come(self, index: int, params: Any, prompt: list[int] | None, tokens: list[int]) -> None:
        request = parse(params)
        if request is None:
            return
        if prompt is None:
            # Embeddings have no length that a processor is told.
            self._roster.counts["no_tokens"] += 1
            return
        member = self._roster.join(request, len(prompt), len(tokens))
        if member is not None:
            self._rows[index] = _Row(member, tokens)
