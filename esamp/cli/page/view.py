"""What the page shows, computed from two runs; the template only lays it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from esamp.cli.console import SCORES, format_score, printable
from esamp.cli.page.novelty import Scale
from esamp.cli.page.projection import fit_into, principal_plane
from esamp.cli.page.tokens import token_texts
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.metrics import Embedder, Scores, score_samples
from esamp.result import GenerationResult, Sample

__all__ = ["MAP_HEIGHT", "MAP_WIDTH", "PageView", "make_page"]

MAP_WIDTH, MAP_HEIGHT, _MARGIN = 420, 300, 16
_HOVER_LENGTH = 90


@dataclass(frozen=True)
class TokenView:
    """A token: its text, its class of novelty (None for a sample's first) and its numbers."""

    text: str
    level: int | None
    numbers: str


@dataclass(frozen=True)
class SampleView:
    """A sample as its tokens; `cut` says that it ran into the limit."""

    index: int
    tokens: list[TokenView]
    cut: bool


@dataclass(frozen=True)
class PointView:
    """A sample's place on the map, its method's number and its hover text."""

    x: float
    y: float
    method: int
    hover: str


@dataclass(frozen=True)
class ScoreView:
    """A row of a score table: what it is called, what it says, and a value for each method."""

    label: str
    meaning: str
    values: list[str]


@dataclass(frozen=True)
class PromptView:
    """One prompt: the samples of each method, their scores and their map."""

    prompt: str
    columns: list[list[SampleView]]
    scores: list[ScoreView]
    points: list[PointView]
    variance: str


@dataclass(frozen=True)
class PageView:
    """The whole page.

    Attributes:
        methods: names of the methods, in the order of all columns.
        n: samples per prompt.
        prompts: one section each.
        scores: averaged over prompts.
        facts: settings of the run, name and value.
    """

    methods: list[str]
    n: int
    prompts: list[PromptView]
    scores: list[ScoreView]
    facts: list[tuple[str, str]]


def make_page(
    prompts: Sequence[str],
    results: Mapping[str, GenerationResult],
    engine: HuggingFaceEngine,
    embedder: Embedder,
    facts: Sequence[tuple[str, str]],
) -> PageView:
    """Everything the page shows.

    Args:
        prompts: as the user wrote them.
        results: each method's result, by its name; all with the same prompts and n.
        engine: its tokenizer decodes the tokens.
        embedder: for the scores and the map.
        facts: settings to list at the end.
    """
    scale = Scale([_novelty(s) for result in results.values() for samples in result.samples for s in samples])
    sections: list[PromptView] = []
    scores: list[list[Scores]] = []
    for index, prompt in enumerate(prompts):
        groups = [result.samples[index] for result in results.values()]
        scores.append([score_samples(samples, embedder) for samples in groups])
        points, variance = _map(groups, list(results), embedder)
        columns = [[_sample(sample, engine, scale) for sample in samples] for samples in groups]
        sections.append(PromptView(prompt, columns, _scores(scores[-1]), points, variance))
    means = [Scores.mean(of_method) for of_method in zip(*scores, strict=True)]
    return PageView(list(results), len(sections[0].columns[0]), sections, _scores(means), list(facts))


def _scores(columns: Sequence[Scores]) -> list[ScoreView]:
    rows = [
        ScoreView(label, meaning, [format_score(getattr(scores, field), form) for scores in columns])
        for field, (label, form, meaning) in SCORES.items()
        if field != "tokens_per_second"
    ]
    return rows


def _novelty(sample: Sample) -> torch.Tensor:
    """‖e‖ of a sample's tokens but the first, which all samples draw in the same place: the end of the prompt."""
    return torch.cat([torch.full((1,), torch.nan), sample.novelty[1:].cpu()])


def _sample(sample: Sample, engine: HuggingFaceEngine, scale: Scale) -> SampleView:
    texts = token_texts(lambda ids: engine.decode(torch.tensor(ids)), sample.token_ids.tolist())
    novelty = _novelty(sample)
    columns = zip(
        texts,
        scale.levels(novelty),
        novelty.tolist(),
        sample.kl.tolist(),
        sample.log_probs.tolist(),
        sample.reference_log_probs.tolist(),
        strict=True,
    )
    tokens = [
        TokenView(printable(text), level, _numbers(new, kl, drawn, model))
        for text, level, new, kl, drawn, model in columns
        if text
    ]
    return SampleView(sample.index, tokens, sample.finish_reason == "length")


def _numbers(novelty: float, kl: float, drawn: float, model: float) -> str:
    return f"novelty {format_score(novelty, '.0f')} · KL {kl:.2f} · log p {drawn:.2f}, model alone {model:.2f}"


def _map(groups: Sequence[Sequence[Sample]], methods: Sequence[str], embedder: Embedder) -> tuple[list[PointView], str]:
    samples = [(method, sample) for method, group in enumerate(groups) for sample in group]
    plane, share = principal_plane(embedder([sample.text for _, sample in samples]))
    places = fit_into(plane, MAP_WIDTH, MAP_HEIGHT, _MARGIN)
    points = [
        PointView(x, y, method, f"{methods[method]} {sample.index}: {_start(sample.text)}")
        for (x, y), (method, sample) in zip(places, samples, strict=True)
    ]
    return points, format_score(share, ".0%")


def _start(text: str) -> str:
    flat = printable(" ".join(text.split()))
    return flat if len(flat) <= _HOVER_LENGTH else f"{flat[:_HOVER_LENGTH]}…"
