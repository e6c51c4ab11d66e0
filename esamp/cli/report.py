"""`esamp report`: a run of `esamp eval` as a page, figures and tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from esamp.cli.files import check_folder, check_writable
from esamp.cli.page.render import check_jinja
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.cli.report_page import TokenCutter, local_decoder, make_browser, render_report
from esamp.cli.spelling import Spelling
from esamp.metrics import KeptEmbeddings, MiniLM
from esamp.studies.evaluated import EvaluatedRun, read_run
from esamp.studies.figures import check_matplotlib
from esamp.studies.palette import LIGHT, looks
from esamp.studies.report import Report, make_report, report_json, report_markdown
from esamp.studies.report_figures import draw

__all__ = ["parser", "run"]

_EMBEDDINGS = "embeddings.safetensors"

_DESCRIPTION = """\
Sums up a run of `esamp eval`: writes report.html (one file, nothing is loaded from anywhere), summary.md,
summary.json and figures/ (PNG and SVG) into the folder of the run. The first paragraph says what the
intervals allow, and whether a control does as well."""


def parser() -> Parser:
    """The options of `esamp report`."""
    made = Parser(
        "report", Spelling("run", flags=("--no-embed", "--no-loops")), usage="RUN [options]", description=_DESCRIPTION
    )
    options = made.group("report")
    options.add_argument("--run", type=list[str], default=[], metavar="FOLDER", help="what `esamp eval` wrote")
    options.add_argument("--out", type=str, default=None, metavar="FILE", help="where the page goes (RUN/report.html)")
    options.add_argument(
        "--baseline",
        type=str,
        default=None,
        metavar="ARM",
        help="hold all arms against this one (the plain temperature that is best on each measure)",
    )
    options.add_argument(
        "--no-embed",
        dest="embed",
        action="store_false",
        help="no sentence embeddings: quicker, without Vendi score, cosine and relevance",
    )
    options.add_argument(
        "--no-loops",
        dest="loops",
        action="store_false",
        help="samples that end in a loop count for nothing: everything is measured on the others, and written to "
        "report-no-loops.html and the like",
    )
    return made


def run(options: Any) -> int:
    """Read, sum up, write; the page's path is the last line."""
    if len(options.run) != 1:
        raise ValueError(f"run must be one folder, got {options.run}; `esamp report --help` says what is in it")
    check_jinja()
    check_matplotlib()
    read = read_run(Path(options.run[0]))
    kind = "" if options.loops else "-no-loops"
    out = check_writable("out", options.out or str(read.folder / f"report{kind}.html"))
    figures = check_folder("run", str(read.folder / f"figures{kind}"))
    said: list[str] = []
    if not options.loops:
        samples, read = len(read.samples), read.without_loops()
        said = [f"{samples - len(read.samples)} of {samples} samples end in a loop and count for nothing."]
    with quiet():
        decode = local_decoder(_model(read))
        cutter = None if decode is None else TokenCutter(decode)
        embedder = KeptEmbeddings(MiniLM(), read.folder / _EMBEDDINGS, "all-MiniLM-L6-v2") if options.embed else None
        report = make_report(read, baseline=options.baseline, decode=decode, embedder=embedder, progress=_say)
        if embedder is not None:
            embedder.save()
    report = replace(report, words=replace(report.words, paragraph=[*said, *report.words.paragraph]))
    _say("writing")
    _write(report, figures, kind)
    out.write_text(render_report(report, make_browser(read, cutter)), encoding="utf-8")
    print("", *report.words.paragraph, "", sep="\n")
    print(out.resolve())
    return 0


def _model(run: EvaluatedRun) -> str:
    model: Any = run.manifest.get("model") or {}
    return str(model.get("name", "") if isinstance(model, dict) else model)


def _say(what: str) -> None:
    print(what, flush=True)


def _write(report: Report, figures: Path, kind: str) -> None:
    folder = report.run.folder
    (folder / f"summary{kind}.md").write_text(report_markdown(report), encoding="utf-8")
    (folder / f"summary{kind}.json").write_text(json.dumps(report_json(report), indent=1, ensure_ascii=False), "utf-8")
    for task in report.tasks:
        for plot in task.plots:
            for form in ("png", "svg"):
                drawn = draw(plot, looks(task.scores.arms), LIGHT, form)
                (figures / f"{plot.name}.{form}").write_bytes(drawn)
