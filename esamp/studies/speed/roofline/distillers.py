"""What ESamp must move and compute beside the LLM: its floors, which agree with the READMEs of the kernels.

Every tensor of state is read and written as often as no order of the work can avoid, activations between the parts of
one operation are free, and nothing that the prediction has computed is computed again by learning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import final

from esamp.distillers import (
    Distiller,
    GradientDistiller,
    HierarchicalDistiller,
    LinearDistiller,
    LowRankDistiller,
    MLPDistiller,
    RecursiveLeastSquaresDistiller,
)
from esamp.studies.speed.roofline.machines import Work
from esamp.studies.speed.roofline.models import Batch, Model

__all__ = ["Cost", "candidate_head", "esamp_step", "floors", "gradient_floors"]

_FLOAT = 4
# Of a slot trained by gradients: the optimiser's step count and that of the rounding.
_COUNTS = 8
# Which trunk a group belongs to.
_OWNER = 8


@final
@dataclass(frozen=True)
class Cost:
    """Of a distiller.

    Attributes:
        predict: a prediction of every row.
        learn: one online step of every group.
        state: bytes of a group, which is `Distiller.memory`.
    """

    predict: Work
    learn: Work
    state: int


@singledispatch
def floors(distiller: Distiller, d: int, groups: int, lanes: int) -> Cost:
    """The floor of a distiller of width d for `groups` groups of `lanes` rows.

    Raises:
        TypeError: it is not known for this distiller.
    """
    raise TypeError(f"distiller must be one whose floor is derived here, got {type(distiller).__name__}")


@floors.register
def _mlp(distiller: MLPDistiller, d: int, groups: int, lanes: int) -> Cost:
    weights = distiller.blocks * 3 * d * distiller.width
    # Errors pass through all weights but the first block's gate and up.
    return gradient_floors(weights, weights - 2 * d * distiller.width, d, groups, lanes, _weight(distiller))


@floors.register
def _low_rank(distiller: LowRankDistiller, d: int, groups: int, lanes: int) -> Cost:
    # One block, and the scale and the bias of a normalisation.
    return gradient_floors(3 * d * distiller.rank + 2 * d, d * distiller.rank + d, d, groups, lanes, _weight(distiller))


@floors.register
def _linear(distiller: LinearDistiller, d: int, groups: int, lanes: int) -> Cost:
    return gradient_floors(d * d + d, 0, d, groups, lanes, _weight(distiller))


@floors.register
def _hierarchical(distiller: HierarchicalDistiller, d: int, groups: int, lanes: int) -> Cost:
    # Without a level of domains. The trunk is one group of all rows and no group's own.
    trunk = floors(distiller.trunk.distiller, d, 1, groups * lanes)
    leaf = floors(distiller.leaf, d, groups, lanes)
    return Cost(trunk.predict + leaf.predict, trunk.learn + leaf.learn, leaf.state + _OWNER)


@floors.register
def _recursive_least_squares(distiller: RecursiveLeastSquaresDistiller, d: int, groups: int, lanes: int) -> Cost:
    half, size, rows = distiller.features, 2 * distiller.features + 1, groups * lanes
    projections = _FLOAT * 2 * d * half  # shared by all groups
    root, mapping = _FLOAT * groups * size * size, _FLOAT * groups * size * d
    predict = Work(
        projections + mapping + 2 * rows * d * _FLOAT,
        single=rows * (4 * d * half + 2 * size * d),
    )
    # F = φ U needs all of U before U Fᵀ, with which U is stepped row by row: two readings and a writing. The map has
    # one of each, since the prediction of the step is φ W.
    operations = (
        6 * rows * size * size  # F, the spread U Fᵀ, the step of U
        + 4 * rows * lanes * size  # S = I + F Fᵀ and the two triangular solves, which are half as much each
        + groups * lanes**3 / 3  # its Cholesky factor
        + 2 * rows * lanes * d  # S⁻¹ times the errors
        + 2 * rows * size * d  # the step of the map
    )
    learn = Work(3 * root + 2 * mapping + 2 * rows * d * _FLOAT, single=operations)
    return Cost(predict, learn, (root + mapping) // groups)


def candidate_head(model: Model, batch: Batch) -> Work:
    """The candidates' rows of the head, none of them shared, and the predictions that they are dotted with."""
    operations = 2 * batch.rows * batch.candidates * model.d
    places = min(batch.rows * batch.candidates, model.vocabulary)
    moved = places * model.d * model.weight + batch.rows * model.d * _FLOAT
    return Work(moved, half=operations) if model.weight == 2 else Work(moved, single=operations)


def esamp_step(distiller: Distiller, model: Model, batch: Batch) -> dict[str, Work]:
    """What ESamp adds to a decode step, by part."""
    cost = floors(distiller, model.d, batch.prompts, batch.n)
    return {"predict": cost.predict, "candidate head": candidate_head(model, batch), "learn": cost.learn}


def gradient_floors(
    weights: int, passed: int, d: int, groups: int, lanes: int, weight: int = _FLOAT, moment: int = _FLOAT
) -> Cost:
    """The floor of anything that Adam steps.

    Args:
        weights: of a group.
        passed: those of them that the errors go through on their way back.
        d: hidden size.
        groups: number of distillers.
        lanes: rows of each.
        weight: bytes of a weight.
        moment: bytes of each of its two moments, which are read and written.
    """
    rows = groups * lanes
    predict = Work(groups * weights * weight + 2 * rows * d * _FLOAT, single=2 * rows * weights)
    stepped = weights * (2 * weight + 4 * moment) + passed * weight
    learn = Work(groups * stepped + 3 * rows * d * _FLOAT, single=2 * rows * (weights + passed))
    return Cost(predict, learn, (weight + 2 * moment) * weights + _COUNTS)


def _weight(distiller: GradientDistiller) -> int:
    """Bytes of a stored weight."""
    return 2 if distiller.storage == "bfloat16" else _FLOAT
