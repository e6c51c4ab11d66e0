"""How tokens are drawn from the distribution of a step.

Examples:
    Four samples of one prompt draw their first token from the same distribution, uniform over four:

    >>> from esamp.draws import *
    >>> import torch
    >>> from esamp.candidates import Filters
    >>> from esamp.rows import Rows
    >>> logits, place, n = torch.zeros(4, 4), torch.arange(4), torch.full((4,), 4)
    >>> candidates = Filters().select(logits)
    >>> rows = Rows.of_prompts(group=torch.tensor([0]), beta=torch.zeros(1, 4))
    >>> def drawn(draw: TokenDraw) -> list[int]:
    ...     drawing: Drawing = draw.begin(0, sample=place, total=n, prompt=torch.zeros_like(n))
    ...     choice: Choice = drawing(logits.log_softmax(dim=-1), candidates, rows, place)
    ...     return sorted(choice.place.tolist())
    >>> drawn(GumbelDraw()), drawn(ArithmeticDraw()), drawn(InTurnDraw(gain=50.0))
    ([0, 0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3])
    >>> draws.names()
    ['arithmetic', 'gumbel', 'in_turn']
"""

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
