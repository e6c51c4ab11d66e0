"""The picture of the front page, from docs/results/clouds.json: two clouds of samples, and who is like whom."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["clouds"]

_WIDTH, _MARGIN, _RADIUS = 360, 14, 6


@dataclass(frozen=True)
class _Frame:
    """Where a place lies on the paper: the same for both clouds, alike in both directions, y downwards.

    Attributes:
        left: smallest x of all places.
        top: largest y.
        scale: pixels a unit.
        height: of the paper.
    """

    left: float
    top: float
    scale: float
    height: int

    @classmethod
    def around(cls, places: list[list[float]]) -> _Frame:
        """The smallest frame of our width that holds them all."""
        xs, ys = [x for x, _ in places], [y for _, y in places]
        scale = (_WIDTH - 2 * _MARGIN) / (max(xs) - min(xs))
        return cls(min(xs), max(ys), scale, round((max(ys) - min(ys)) * scale) + 2 * _MARGIN)

    def at(self, place: list[float]) -> tuple[str, str]:
        """Coordinates of a place, as text."""
        x, y = place
        return f"{(x - self.left) * self.scale + _MARGIN:.1f}", f"{(self.top - y) * self.scale + _MARGIN:.1f}"


def clouds() -> str:
    """A figure of HTML and SVG; its colours are those of the theme, its words those of `docs/javascripts/clouds.js`."""
    made = json.loads(Path("docs/results/clouds.json").read_text(encoding="utf-8"))
    frame = _Frame.around([place for cloud in made["clouds"].values() for place in cloud["places"]])
    panels = [_panel(name, cloud, frame) for name, cloud in made["clouds"].items()]
    lines = ['<figure class="clouds">', '<div class="clouds-row">', *panels, "</div>"]
    lines += ['<p class="clouds-text" aria-live="polite">Point at a sample, or tap it, to read it.</p>']
    return "\n".join([*lines, f"<figcaption>{_caption(made)}</figcaption>", "</figure>", ""])


def _panel(name: str, cloud: dict[str, Any], frame: _Frame) -> str:
    """One cloud: lines first, so that points lie on top and can be touched."""
    scores, places = cloud["scores"], [frame.at(place) for place in cloud["places"]]
    said = f"Vendi score {scores['vendi']:.1f} · perplexity {scores['perplexity']:.2f}"
    return "\n".join(
        [
            f'<div class="cloud cloud-{name.lower()}">',
            f"<p><b>{name}</b> {said}</p>",
            f'<svg viewBox="0 0 {_WIDTH} {frame.height}" role="img" aria-label="{name}: {said}">',
            *_lines(cloud["lines"], places),
            *_points(cloud["texts"], places),
            "</svg>",
            "</div>",
        ]
    )


def _lines(pairs: list[list[int]], places: list[tuple[str, str]]) -> Iterator[str]:
    for one, other in pairs:
        (x1, y1), (x2, y2) = places[one], places[other]
        yield f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _points(texts: list[str], places: list[tuple[str, str]]) -> Iterator[str]:
    for text, (x, y) in zip(texts, places, strict=True):
        yield f'<circle cx="{x}" cy="{y}" r="{_RADIUS}"><title>{html.escape(text)}</title></circle>'


def _caption(made: dict[str, Any]) -> str:
    counts = [
        f"{least}: {' and '.join(str(cloud['alike'][least]) for cloud in made['clouds'].values())}"
        for least in next(iter(made["clouds"].values()))["alike"]
    ]
    return (
        f"{made['n']} samples of “{html.escape(made['prompt'])}”, plainly and with ESamp at β = {made['beta']}, "
        f"{made['tokens']} tokens, seed {made['seed']}. Each point is a sample, on the plane of the first two "
        f"principal components of all their embeddings ({made['variance']:.0%} of the variance); a line joins two "
        f"whose cosine is above 0.5. Pairs above {'; '.join(counts)}. One prompt and one seed illustrate, and "
        'prove nothing: the <a href="ablation/">ablation</a> has intervals. By <code>python -m tools.clouds</code>.'
    )
