"""A distiller's architecture as Lightning trains it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from typing_extensions import override

from esamp.checks import check_number
from esamp.distillers import Distiller, GradientDistiller

__all__ = ["UNEXPLAINED", "DistillerModule", "check_trainable"]

UNEXPLAINED = "val_unexplained"
"""What is monitored: fraction of the variance of hᴸ on held-out text that the prediction leaves unexplained."""


def check_trainable(distiller: Distiller) -> GradientDistiller:
    """The distiller, if it is trained by gradients.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(distiller, GradientDistiller):
        raise TypeError(
            "distiller must be trained by gradients (low_rank, mlp, linear, or a GradientDistiller of your own), got "
            f"{type(distiller).__name__}; to use a trained one inside another, load it there, as in "
            "FrozenDistiller(LowRankDistiller().load(path))"
        )
    return distiller


@final
class DistillerModule(LightningModule):
    """Trains the weights of one group by Adam on ‖hᴸ - f_φ(h¹)‖², mean over rows and d (ESamp, Eq. 8).

    Logs `train_loss` and `val_unexplained`, both once an epoch.

    Args:
        distiller: the architecture and its start; if that is the LLM's, it has been bound.
        hidden_size: width d.
        variance: of hᴸ on the held-out text; what `val_unexplained` is measured in.
        lr: learning rate.
        settings: kept in every checkpoint; a run resumes only with the same.

    Raises:
        TypeError: the distiller is not trained by gradients.
        ValueError: the distiller's sizes or its start do not fit that width, or `lr` is not positive.
    """

    def __init__(
        self,
        distiller: Distiller,
        hidden_size: int,
        variance: float,
        *,
        lr: float = 1e-3,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.architecture: GradientDistiller = check_trainable(distiller)
        self.weights: nn.ParameterDict = nn.ParameterDict(
            {name: nn.Parameter(value) for name, value in self.architecture.start_parameters(hidden_size).items()}
        )
        self.variance = variance
        self.lr: float = check_number("lr", lr, low=0, low_open=True)
        self.save_hyperparameters(dict(settings or {}))

    @override
    def forward(self, shallow: Float[Tensor, "rows d"]) -> Float[Tensor, "rows d"]:
        weights = {name: value.unsqueeze(0) for name, value in self.weights.items()}
        return self.architecture.predict(weights, shallow.unsqueeze(0)).squeeze(0)

    @override
    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        shallow, deep = batch
        loss = mse_loss(self(shallow).float(), deep)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(deep), sync_dist=True)
        return loss

    @override
    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        shallow, deep = batch
        share = mse_loss(self(shallow).float(), deep) / self.variance
        self.log(UNEXPLAINED, share, batch_size=len(deep), sync_dist=True)

    @override
    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.weights.parameters(), lr=self.lr)

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved, mine = checkpoint["hyper_parameters"], dict(self.hparams)
        other = [
            f"{key} was {saved.get(key)!r} and is {value!r}" for key, value in mine.items() if saved.get(key) != value
        ]
        if other:
            raise ValueError(
                f"resume must go on with the same settings, and {'; '.join(other)}; start afresh without it"
            )
