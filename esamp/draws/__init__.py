"""How tokens are drawn from the distribution of a step."""

from esamp.draws.arithmetic import ArithmeticDraw
from esamp.draws.base import Choice, Drawing, TokenDraw, draws
from esamp.draws.gumbel import GumbelDraw, GumbelDrawing
from esamp.draws.in_turn import InTurnDraw

__all__ = [
    "ArithmeticDraw",
    "Choice",
    "Drawing",
    "GumbelDraw",
    "GumbelDrawing",
    "InTurnDraw",
    "TokenDraw",
    "draws",
]
