"""From a report to HTML."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import esamp
from esamp.cli.page.novelty import LEVELS
from esamp.cli.page.render import environment
from esamp.cli.report_page.browser import Browser
from esamp.studies.contrasts import Contrast
from esamp.studies.measures import MEASURES
from esamp.studies.palette import DARK, LIGHT, looks
from esamp.studies.report import Report, TaskReport
from esamp.studies.report_figures import Plot, draw
from esamp.studies.roles import RoledArm
from esamp.studies.words import in_points, said

__all__ = ["render_report"]

_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


@final
@dataclass(frozen=True)
class FigureView:
    """A figure as two pictures, each in the address itself."""

    name: str
    title: str
    caption: str
    light: str
    dark: str


def render_report(report: Report, browser: Browser) -> str:
    """The page as one HTML document.

    One style block and one script, each allowed by its hash; samples as JSON in a script element that no browser runs;
    figures as `data:` pictures. Nothing else can run or load.

    Raises:
        ModuleNotFoundError: Jinja2 or matplotlib is not installed.
    """
    made = environment()
    arms = _arms(report)
    style = made.get_template("style.css").render(levels=LEVELS).strip()
    style += "\n" + made.get_template("report.css").render(looks=list(looks(arms).values())).strip()
    script = made.get_template("report.js").render().strip()
    return made.get_template("report.html").render(
        report=report,
        title=_title(report),
        tasks=[_task(task) for task in report.tasks],
        figures={task.scores.task: [_figure(plot, arms) for plot in task.plots] for task in report.tasks},
        arms=arms,
        browser=browser,
        facts=_facts(report.run.manifest),
        style=style,
        script=script,
        policy=_POLICY.format(script=_hash(script), style=_hash(style)),
        levels=LEVELS,
        version=esamp.__version__,
    )


def _hash(block: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}"


def _arms(report: Report) -> list[RoledArm]:
    """All arms of the run, in the order of the study: an arm has one colour on all tasks."""
    known = {arm.name: arm for task in report.tasks for arm in task.scores.arms}
    return [known[name] for name in report.run.arms if name in known]


def _title(report: Report) -> str:
    study: Mapping[str, Any] = report.run.manifest.get("study") or {}
    return str(study.get("name") or report.run.folder.resolve().name)


def _task(task: TaskReport) -> dict[str, Any]:
    """The tables of a task as text."""
    scores = task.scores
    measures = [name for name in MEASURES if name in scores.scores]
    heads = [(MEASURES[name].label.replace("@n", f"@{scores.n}"), MEASURES[name].meaning) for name in measures]
    rows = [(arm, [_interval(scores.mean(name, arm.name), name) for name in measures]) for arm in scores.arms]
    return {
        "name": scores.task,
        "problems": len(scores.problems),
        "n": scores.n,
        "seeds": scores.seeds,
        "heads": heads,
        "rows": rows,
        "headlines": [_contrast(c) for c in task.contrasts if c.headline],
        "others": [_contrast(c) for c in task.contrasts if not c.headline],
        "notes": task.notes,
    }


def _interval(found: Any, measure: str) -> tuple[str, str]:
    """A value, and its interval."""
    if found.value != found.value:
        return "–", ""
    form = MEASURES[measure].form
    return f"{found.value:{form}}", f"{found.low:{form}} … {found.high:{form}}"


def _contrast(contrast: Contrast) -> dict[str, str]:
    return {
        "measure": contrast.label,
        "arm": contrast.arm,
        "against": contrast.against,
        "difference": said(contrast),
        "p": in_points(contrast.p),
        "adjusted": in_points(contrast.adjusted),
    }


def _figure(plot: Plot, arms: list[RoledArm]) -> FigureView:
    found = looks(arms)
    light, dark = (
        "data:image/svg+xml;base64," + base64.b64encode(draw(plot, found, theme)).decode() for theme in (LIGHT, DARK)
    )
    return FigureView(plot.name, plot.title, plot.caption, light, dark)


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What produced the run, for the last lines: plain values, deeper ones as JSON."""
    facts: list[tuple[str, str]] = []
    for key, value in manifest.items():
        if isinstance(value, Mapping) and key != "study":
            facts += [(f"{key} {name}", _plain(each)) for name, each in value.items()]
        elif key != "study":
            facts.append((key, _plain(value)))
    return facts


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
