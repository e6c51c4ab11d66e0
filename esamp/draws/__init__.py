"""How tokens are drawn from the distribution of a step."""

from esamp.draws.arithmetic import ArithmeticDraw
from esamp.draws.base import Drawing, TokenDraw, draws
from esamp.draws.gumbel import GumbelDraw, GumbelDrawing

__all__ = ["ArithmeticDraw", "Drawing", "GumbelDraw", "GumbelDrawing", "TokenDraw", "draws"]
