"""One step of the requests that use ESamp: the explorer is driven exactly as the Hugging Face loop drives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.candidates import filters_of_rows
from esamp.draws import GumbelDrawing
from esamp.engines.vllm.chosen_fusion import choose_fusion
from esamp.engines.vllm.roster import Group, Member
from esamp.engines.vllm.taps import TappedRows
from esamp.explorer import Explorer
from esamp.policy import Drawn, Fused
from esamp.rows import Rows

__all__ = ["Place", "Standing", "Step", "explore", "renew"]


@dataclass(frozen=True)
class Place:
    """Where a request's row of logits stands in this step.

    Attributes:
        row: among the rows of logits.
        member: whose it is.
        step: tokens that the request has so far.
    """

    row: int
    member: Member
    step: int

    @property
    def position(self) -> int:
        """Of the row in its sequence, where the logits are those of the next token; a chunk of a prompt ends before."""
        return self.member.prompt + self.step - 1


@dataclass(frozen=True)
class Standing:
    """How the groups stood when a step began; the step before has settled by then, so that nobody waits for it.

    Attributes:
        ready: groups whose fusion is on.
        losses: of the step before; NaN where a group did not learn.
        failures: resets of any group so far.
    """

    ready: Bool[Tensor, " groups"]
    losses: Float[Tensor, " groups"]
    failures: Int[Tensor, ""]

    @classmethod
    def of(cls, explorer: Explorer) -> Standing:
        """To be called between `fuse` and `learn`."""
        return cls(explorer.ready(), explorer.losses(), explorer.bank.failures)


@dataclass(frozen=True)
class Step:
    """What a step has made.

    Attributes:
        places: the rows.
        index: their places among the rows of logits, int64 on the device.
        rows: the same, as the explorer had them.
        alive: rows whose token counts; the others are chunks of prompts.
        standing: of the groups.
        shallow: h¹ of the rows.
        deep: hᴸ of the rows.
        reference: the LLM's logits of the rows; they may be the engine's own memory, which goes on to other uses after
            the step.
        fused: the distributions.
        drawn: the tokens.
    """

    places: Sequence[Place]
    index: Int[Tensor, " rows"]
    rows: Rows
    alive: Bool[Tensor, " rows"]
    standing: Standing
    shallow: Float[Tensor, "rows d"]
    deep: Float[Tensor, "rows d"]
    reference: Float[Tensor, "rows vocab"]
    fused: Fused
    drawn: Drawn


def explore(
    explorer: Explorer, places: Sequence[Place], tapped: TappedRows, logits: Float[Tensor, "all vocab"], *, scaled: bool
) -> Step:
    """Predict, fuse, draw and learn.

    Nothing is read back from the device but the width of the candidate list, which `Filters.select` needs.

    Args:
        explorer: the bank at work.
        places: the rows of requests that use ESamp, at least one.
        tapped: h¹, hᴸ and positions of all rows of logits.
        logits: of all rows, float32, after everything that the engine itself does to them before it samples.
        scaled: they have been divided by each request's temperature already.
    """
    device = logits.device
    members = [place.member for place in places]
    numbers = _sent(
        [
            (p.row, p.member.group.slot, p.member.lane, p.member.sample, p.step, p.position, p.member.seed)
            for p in places
        ],
        device,
    )
    index, slot, lane, sample, step, position, seed = numbers.unbind(dim=-1)
    beta = _sent([(member.request.beta,) for member in members], device).squeeze(-1)
    # Copies, and out of inference mode no inference tensors: a distiller may learn from them by autograd.
    deep, shallow = tapped.deep[index], tapped.shallow[index]
    # A vocabulary of each row is much to copy. Places are in the order of the rows.
    reference = logits if len(places) == len(logits) else logits[index]
    alive = tapped.position[index] == position
    rows = Rows(slot, lane, sample, step, beta)
    filters = filters_of_rows([member.request.filters for member in members], device)
    explorer.bank.fusion = choose_fusion(explorer.bank.fusion, [member.request.fusion for member in members], device)
    explorer.arrange(_lanes(max(member.lane for member in members) + 1), filters)
    if scaled and filters.temperature != 1.0:
        # In place also where the logits are the engine's: of rows that use ESamp nothing stays but the token.
        with torch.inference_mode(reference.is_inference()):
            reference.mul_(filters.temperatures(step))
    explorer.begin(shallow, rows)
    fused = explorer.fuse(deep, reference)
    drawn = fused.draw(GumbelDrawing(seed), rows, index)
    standing = Standing.of(explorer)
    explorer.learn(deep, drawn.tokens, alive)
    return Step(places, index, rows, alive, standing, shallow, deep, reference, fused, drawn)


def renew(explorer: Explorer, groups: Sequence[Group], warmups: Sequence[int], device: torch.device) -> None:
    """Give slots to new groups, each with its own warm-up."""
    if groups:
        slots, warmup = _sent(list(zip([group.slot for group in groups], warmups, strict=True)), device).unbind(dim=-1)
        explorer.recycle(slots)
        assert isinstance(explorer.warmup, Tensor)
        explorer.warmup.index_copy_(0, slots, warmup)


def _lanes(used: int) -> int:
    """The next power of two, so that the shapes of a step are few."""
    return 1 << (used - 1).bit_length()


def _sent(rows: Sequence[Sequence[float]], device: torch.device) -> Tensor:
    """A small table on a device; the host does not wait for it."""
    return torch.tensor(rows, pin_memory=device.type == "cuda").to(device, non_blocking=True)
