"""The maths of one decode step: in PyTorch on rows laid out by group, or by kernels on rows as they come."""

from esamp.step.base import StepMaths
from esamp.step.by_group import ByGroup
from esamp.step.by_row import ByRow

__all__ = ["ByGroup", "ByRow", "StepMaths"]
