"""One whole step of ESamp by kernels on random tensors: what tests count and weigh, and what benchmarks time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from esamp.kernels.candidate_filter.triton import run as select
from esamp.kernels.candidate_head.triton import Draw, Mix
from esamp.kernels.candidate_head.triton import run as score
from esamp.kernels.grouped_mlp.triton import Activations, forward
from esamp.kernels.grouped_mlp_update import adam_settings
from esamp.kernels.grouped_mlp_update.adam import Slots
from esamp.kernels.grouped_mlp_update.triton import step

__all__ = ["Sizes", "Trial"]


@dataclass(frozen=True)
class Sizes:
    """Of a model, its bank and its batch.

    Attributes:
        d: hidden size.
        inner: inner width of the distiller's blocks.
        slots: number of groups, all of them with rows.
        lanes: rows of a group.
        vocabulary: tokens of the head.
        width: places of the candidate list.
        blocks: of the distiller.
        weights: dtype of the distiller's weights: float32 or bfloat16.
        head: dtype of the head.
        unused: rows, of slots times lanes, that have left the batch.
    """

    d: int = 4096
    inner: int = 384
    slots: int = 8
    lanes: int = 16
    vocabulary: int = 152_064
    width: int = 64
    blocks: int = 2
    weights: torch.dtype = torch.float32
    head: torch.dtype = torch.bfloat16
    unused: int = 0

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.slots * self.lanes - self.unused

    @property
    def parameters(self) -> int:
        """Of all slots."""
        return self.slots * self.blocks * 3 * self.d * self.inner


class Trial:
    """Tensors of these sizes on a device ("meta": without memory), and the two halves of a step on them."""

    def __init__(self, sizes: Sizes, device: torch.device | str) -> None:
        self.sizes: Sizes = sizes
        self.device: torch.device = torch.device(device)
        rows, d, slots, inner = sizes.rows, sizes.d, sizes.slots, sizes.inner
        # Rows of a group are scattered over the batch.
        self.slot: Tensor = torch.arange(rows, device=device) % slots
        self.sample: Tensor = torch.arange(rows, device=device)
        self.step: Tensor = torch.full((rows,), 3, device=device)
        self.beta: Tensor = torch.full((rows,), 0.25, device=device)
        self.heat: Tensor = torch.ones(rows, 1, device=device)
        self.alive: Tensor = torch.ones(rows, device=device)
        self.shallow: Tensor = self._random(rows, d)
        self.deep: Tensor = self._random(rows, d)
        self.head: Tensor = self._random(sizes.vocabulary, d, scale=d**-0.5).to(sizes.head)
        self.logits: Tensor = self._random(rows, sizes.vocabulary, scale=4.0)
        gate_up = [self._random(slots, d, 2 * inner, scale=d**-0.5) for _ in range(sizes.blocks)]
        down = [self._random(slots, inner, d, scale=inner**-0.5) for _ in range(sizes.blocks)]
        self.gate_up, self.down = ([w.to(sizes.weights) for w in ws] for ws in (gate_up, down))
        self.weights: list[Tensor] = [weight for pair in zip(self.gate_up, self.down, strict=True) for weight in pair]
        zeros = partial(torch.zeros_like, dtype=torch.float32)
        self.first, self.second = (list(map(zeros, self.weights)) for _ in range(2))
        rounds = torch.zeros(slots, dtype=torch.int32, device=device) if sizes.weights == torch.bfloat16 else None
        settings = adam_settings(4e-4, 0.9, 0.999, 1e-4, 0.5, device)
        self.state: Slots = Slots(torch.zeros(slots, device=device), rounds, settings)

    def predict_and_fuse(self) -> tuple[Activations, Tensor]:
        """Filter, predict, score the candidates, mix and draw: the activations, and the drawn places."""
        ids, reference, mask, _, _ = select(self.logits, self.heat, 0.05, self.sizes.width)
        activations = forward(self.shallow, self.slot, self.sizes.lanes, self.gate_up, self.down)
        mix, draw = Mix(reference, self.beta, None, self.heat), Draw(7, self.sample, self.step)
        _, place, _ = score(activations.hidden[-1], self.head, ids, mask, None, 1.0, None, mix, draw)
        assert place is not None
        return activations, place

    def learn(self, activations: Activations) -> Tensor:
        """One update of every slot; the losses."""
        moments = (self.first, self.second)
        return step(activations, self.deep, self.alive, self.gate_up, self.down, *moments, self.state)

    @cached_property
    def floors(self) -> dict[str, int]:
        """Bytes that must cross the memory bus whatever the kernels, of each half; derived in the kernels' READMEs."""
        sizes = self.sizes
        weight, hidden = sizes.parameters * sizes.weights.itemsize, sizes.rows * sizes.d * 4
        ids, _, mask, _, _ = select(self.logits, self.heat, 0.05, sizes.width)
        tokens = len(ids[mask].unique()) * sizes.d * sizes.head.itemsize
        predict = weight + 2 * hidden + self.logits.numel() * 4 + tokens
        # Errors pass through every weight but the first block's gate and up.
        passed = weight - self.gate_up[0].numel() * sizes.weights.itemsize
        learn = 2 * weight + 16 * sizes.parameters + passed + 3 * hidden
        return {"predict and fuse": predict, "learn": learn}

    def _random(self, *shape: int, scale: float = 1.0) -> Tensor:
        if self.device.type == "meta":
            return torch.empty(shape, device=self.device)
        generator = torch.Generator(self.device).manual_seed(sum(shape))
        return torch.randn(shape, generator=generator, device=self.device) * scale
