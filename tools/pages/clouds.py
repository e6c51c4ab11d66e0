"""The picture of the front page, from docs/results/clouds.json: two clouds of samples, and who is like whom."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["clouds"]

_SIZE, _MARGIN, _RADIUS = 360, 18, 6


def clouds() -> str:
    """A figure of HTML and SVG; its colours are those of the theme, its words those of `docs/javascripts/clouds.js`."""
    made = json.loads(Path("docs/results/clouds.json").read_text(encoding="utf-8"))
    farthest = max(abs(x) for cloud in made["clouds"].values() for place in cloud["places"] for x in place)
    scale = (_SIZE / 2 - _MARGIN) / farthest
    panels = [_panel(name, cloud, scale) for name, cloud in made["clouds"].items()]
    lines = ['<figure class="clouds">', '<div class="clouds-row">', *panels, "</div>"]
    lines += ['<p class="clouds-text" aria-live="polite">Point at a sample, or tap it, to read it.</p>']
    return "\n".join([*lines, f"<figcaption>{_caption(made)}</figcaption>", "</figure>", ""])


def _panel(name: str, cloud: dict[str, Any], scale: float) -> str:
    """One cloud: lines first, so that points lie on top and can be touched."""
    scores, places = cloud["scores"], cloud["places"]
    title = f"{name}: Vendi score {scores['vendi']:.1f}, perplexity {scores['perplexity']:.2f}"
    drawn = [*_lines(cloud["lines"], places, scale), *_points(cloud["texts"], places, scale)]
    return "\n".join(
        [
            f'<div class="cloud cloud-{name.lower()}">',
            f"<p><b>{name}</b> Vendi score {scores['vendi']:.1f} · perplexity {scores['perplexity']:.2f}</p>",
            f'<svg viewBox="0 0 {_SIZE} {_SIZE}" role="img" aria-label="{title}">',
            *drawn,
            "</svg>",
            "</div>",
        ]
    )


def _at(place: list[float], scale: float) -> tuple[str, str]:
    return f"{_SIZE / 2 + place[0] * scale:.1f}", f"{_SIZE / 2 - place[1] * scale:.1f}"


def _lines(pairs: list[list[int]], places: list[list[float]], scale: float) -> Iterator[str]:
    for one, other in pairs:
        (x1, y1), (x2, y2) = _at(places[one], scale), _at(places[other], scale)
        yield f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _points(texts: list[str], places: list[list[float]], scale: float) -> Iterator[str]:
    for text, place in zip(texts, places, strict=True):
        x, y = _at(place, scale)
        yield f'<circle cx="{x}" cy="{y}" r="{_RADIUS}"><title>{html.escape(text)}</title></circle>'


def _caption(made: dict[str, Any]) -> str:
    counts = [
        f"{least}: {' and '.join(str(cloud['alike'][least]) for cloud in made['clouds'].values())}"
        for least in next(iter(made["clouds"].values()))["alike"]
    ]
    return (
        f"{made['n']} samples of “{html.escape(made['prompt'])}”, plainly and with ESamp at β = {made['beta']}, "
        f"{made['tokens']} tokens, seed {made['seed']}. Each point is a sample, on the plane of the first two principal "
        f"components of all their embeddings ({made['variance']:.0%} of the variance); a line joins two whose cosine is "
        f"above 0.5. Pairs above {'; '.join(counts)}. One prompt and one seed illustrate, and prove nothing: the "
        '<a href="ablation/">ablation</a> has intervals. Made by <code>python -m tools.clouds</code>.'
    )
