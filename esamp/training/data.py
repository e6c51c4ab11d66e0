"""Pairs as Lightning reads them: shuffled to train on, the end of the text held out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler
from typing_extensions import override

from esamp.checks import check_integer, check_number
from esamp.training.pairs import Pairs, Shard

__all__ = ["PairsDataModule"]


@final
class PairsDataModule(LightningDataModule):
    """The last share of the windows is held out, as whole windows: neighbouring positions are too much alike to split.

    Args:
        pairs: a recording.
        positions: pairs of one window.
        batch_size: pairs of one step.
        validation: share of the windows that is held out, in (0, 1); at least one is, and one is not.
        seed: of the order of training, which depends on the epoch too, so that a resumed run goes on as it would have.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, pairs: Pairs, positions: int, *, batch_size: int = 256, validation: float = 0.1, seed: int = 0
    ) -> None:
        super().__init__()
        check_number("validation", validation, low=0, high=1, low_open=True, high_open=True)
        self.batch_size: int = check_integer("batch_size", batch_size, low=1)
        self.seed: int = check_integer("seed", seed, low=0)
        windows = len(pairs) // positions
        held_out = min(max(1, round(validation * windows)), windows - 1)
        split = (windows - held_out) * positions
        self.training: _Part = _Part(pairs, 0, split)
        self.held_out: _Part = _Part(pairs, split, len(pairs))

    @override
    def train_dataloader(self) -> DataLoader[Shard]:
        order = _Shuffle(len(self.training), self.seed)
        return DataLoader(self.training, self.batch_size, sampler=order, collate_fn=_whole)

    @override
    def val_dataloader(self) -> DataLoader[Shard]:
        return DataLoader(self.held_out, self.batch_size, collate_fn=_whole)

    def variance(self) -> float:
        """Variance of hᴸ on the held-out text, mean over d: the error of the best constant."""
        count, total, squares = 0, 0.0, 0.0
        mean = torch.zeros(self.held_out.pairs.hidden_size, dtype=torch.float64)
        for _, deep in self.val_dataloader():
            mean += deep.double().sum(dim=0)
            squares += float(deep.double().square().mean(dim=1).sum())
            count += len(deep)
        total = float((mean / count).square().mean())
        return squares / count - total


class _Part(Dataset[Shard]):
    """Pairs from `start` to `stop`, a batch at a time."""

    def __init__(self, pairs: Pairs, start: int, stop: int) -> None:
        self.pairs: Pairs = pairs
        self.start: int = start
        self.stop: int = stop

    def __len__(self) -> int:
        return self.stop - self.start

    @override
    def __getitem__(self, index: int) -> Shard:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> Shard:
        return self.pairs.take(self.start + torch.tensor(indices))


class _Shuffle(Sampler[int]):
    """Another order in each epoch, by the seed and the epoch alone."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    @override
    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed((self.seed << 20) + self.epoch)
        return iter(torch.randperm(self.count, generator=generator).tolist())


def _whole(batch: Any) -> Shard:
    """Batches come whole from the data: there is nothing to collate."""
    return batch
