"""`esamp eval`: a grid of samplers × tasks × seeds, every sample a row, on any number of devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from esamp.checks import check_integer
from esamp.cli.evaluation import Evaluation
from esamp.cli.files import check_folder
from esamp.cli.imports import ALLOW_IMPORTS
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.cli.spelling import Spelling
from esamp.cli.study_file import make_study, read_study
from esamp.studies.manifest import differences, read_manifest
from esamp.studies.replay import compare
from esamp.studies.rows import ROWS
from esamp.studies.study import Study

__all__ = ["add_options", "asked_study", "parser", "run", "study_parser"]

_DESCRIPTION = """\
Runs every arm of a study on every task with every seed and keeps each sample as a row of a parquet data
set, OUT/rows, with what it was made with in OUT/manifest.json. Run again, it goes on where it was stopped."""
_EPILOG = """\
a study is a YAML file:
  model: smollm2-135m
  tasks: {svamp: {limit: 100}, prompts: {prompts: [Tell me a joke, Name a colour]}}
  n: 8
  seeds: [0, 1, 2]
  batch_size: 8                                (problems decoded together)
  temperatures: [0.7, 1.0, 1.3]                (of plain sampling: the line to beat)
  common: {min_p: 0.05}                        (of every arm)
  grid: {distiller: [mlp, low_rank], beta: [0.25, 0.5]}
  arms: {never learns: {distiller: frozen, beta: 0.5}}

examples:
  esamp eval study.yaml --dry-run
  esamp eval study.yaml --devices 4 --num-nodes 2 --strategy ddp
  esamp eval --replay runs/eval/study/manifest.json
"""


def parser() -> Parser:
    """The options of `esamp eval`."""
    made = study_parser("eval", _DESCRIPTION, _EPILOG)
    made.group("another run").add_argument(
        "--replay", type=str, default=None, metavar="MANIFEST", help="run a manifest's study again and compare the rows"
    )
    return made


def study_parser(command: str, description: str, epilog: str) -> Parser:
    """A parser of what every command takes that runs a study."""
    spelling = Spelling("study", flags=("--dry-run", "--allow-code-execution", ALLOW_IMPORTS))
    made = Parser(command, spelling, usage="STUDY.yaml [options]", description=description, epilog=epilog)
    add_options(made)
    return made


def add_options(made: Parser) -> None:
    """The study, where its rows go, what of it is another, and who does the work."""
    options = made.group("study")
    options.add_argument("--study", type=list[str], default=[], metavar="FILE", help="the study, a YAML file")
    options.add_argument(
        "--out", type=str, default=None, metavar="FOLDER", help="where the rows go (runs/eval/NAME OF THE STUDY)"
    )
    options.add_argument("--dry-run", action="store_true", help="say how much there is to do, and do nothing")
    options.add_argument(
        "--allow-code-execution", action="store_true", help="tasks may run the code that samples hold, in a sandbox"
    )
    options.add_argument(
        ALLOW_IMPORTS, action="store_true", help="the study may name classes that are not of esamp, and import them"
    )
    changed = made.group("instead of what the study says")
    changed.add_argument("--model", type=str, default=None, help="the model")
    changed.add_argument("--dtype", type=str, default=None, help="of the model (auto: the checkpoint's own)")
    changed.add_argument("--limit", type=int, default=None, metavar="N", help="the first N problems of each task")
    work = made.group("devices (Lightning Fabric)")
    work.add_argument("--accelerator", type=str, default="auto", help="cpu, cuda, ... (auto: a GPU where there is one)")
    work.add_argument("--devices", type=int | str, default=1, metavar="N", help="processes a node, or auto (1)")
    work.add_argument("--num-nodes", type=int, default=1, metavar="N", help="machines that run this command (1)")
    work.add_argument("--strategy", type=str, default="auto", help="auto or ddp")


def asked_study(options: Any) -> Study:
    """The study of the file, with what the command line says instead.

    Raises:
        TypeError: something in it is of the wrong type.
        ValueError: there is not one file, or something in it is wrong.
    """
    if len(options.study) != 1:
        raise ValueError(f"study must be one YAML file, got {options.study}; `esamp eval --help` shows what is in it")
    overrides = {key: getattr(options, key) for key in ("model", "dtype") if getattr(options, key) is not None}
    limit = None if options.limit is None else check_integer("limit", options.limit, low=1)
    return read_study(options.study[0], overrides, limit=limit, **_leave(options))


def _leave(options: Any) -> dict[str, bool]:
    """What the command line lets a study do, which no file can."""
    return {"allow_code_execution": options.allow_code_execution, "allow_imports": options.allow_imports}


def run(options: Any) -> int:
    """Run what is missing, then say how it went. Ctrl-C and SIGTERM keep every sample and give 130 and 143."""
    if options.replay is not None:
        return _replay(options)
    study = asked_study(options)
    out = options.out or f"runs/eval/{Path(options.study[0]).stem}"
    return Evaluation(study, Path(out)).run(options)


def _replay(options: Any) -> int:
    """0 if the rows are those of the manifest's run, 1 if not."""
    given = [f"--{key}" for key in ("model", "dtype", "limit") if getattr(options, key) is not None]
    if options.study or given:
        raise ValueError(
            f"replay runs what its manifest says, and {', '.join([*options.study, *given])} says something else; "
            "leave it out"
        )
    path = Path(options.replay)
    manifest = read_manifest(path)
    study = make_study(manifest["study"], options.replay, Path(), **_leave(options))
    for said in differences(manifest, study):
        print(said)
    before = path.resolve().parent
    out = check_folder("out", options.out or f"{before}-replay")
    if out.resolve() == before:
        raise ValueError(f"out must be another folder than that of the manifest, got {str(out)!r}")
    evaluation = Evaluation(study, out, model=manifest["model"])
    code = evaluation.run(options)
    if code or options.dry_run or not evaluation.speaks:
        return code
    if not (before / ROWS).is_dir():
        print(f"there are no rows beside {path} to compare with")
        return 0
    with quiet():
        found = compare(before, out)
    print(f"replay of {path}: {found.summary()}")
    return 0 if found.same else 1
