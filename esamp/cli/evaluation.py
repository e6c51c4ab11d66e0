"""A study, carried out: by as many processes as there are, with progress, and an orderly end whenever it comes."""

from __future__ import annotations

import shlex
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, final

from esamp.cli.files import check_folder
from esamp.cli.progress import Progress
from esamp.cli.quiet import quiet
from esamp.cli.signals import exit_code, terminable
from esamp.studies.engines import engines
from esamp.studies.manifest import finish_manifest, start_manifest
from esamp.studies.record import FAILED
from esamp.studies.rows import read_rows
from esamp.studies.run import run_units
from esamp.studies.spread import Spread
from esamp.studies.store import RunFolder
from esamp.studies.study import Study

__all__ = ["Evaluation"]


@final
class Evaluation:
    """A study and the folder of its run.

    Args:
        study: the study.
        out: folder of its run.
        model: name, hash and dtype that the model must have; None: any.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: the folder holds rows of another study, or rows without a manifest.
    """

    def __init__(self, study: Study, out: Path, model: dict[str, Any] | None = None) -> None:
        self.study = study
        self.folder: RunFolder = RunFolder(out)
        self.folder.missing(study)  # says what is wrong with the folder
        self.folder.check_manifest()
        self.speaks = True
        self._model = model
        self._rows = {unit.key: unit.rows for unit in study.units()}

    def run(self, options: Any) -> int:
        """Run what is missing: 0, or 130 or 143 where a signal came.

        Args:
            options: of the command line: `dry_run`, `accelerator`, `devices`, `num_nodes`, `strategy`.

        Raises:
            TypeError: a setting of an arm is of the wrong type.
            ValueError: something does not fit the model, the folder or the machine.
        """
        if options.dry_run:
            print(self.plan())
            return 0
        check_folder("out", str(self.folder.folder))
        self._check_spread(options)
        try:
            with terminable(), quiet():
                spread = Spread(options.accelerator, options.devices, options.num_nodes, options.strategy)
                self.speaks: bool = spread.first
                if spread.first:
                    print(self.plan(), flush=True)
                self._carry_out(spread)
                if spread.first:
                    self._finish()
                spread.close()
        except KeyboardInterrupt as error:
            if self.speaks:
                print(f"esamp: interrupted; {self._kept_said()}", file=sys.stderr)
            return exit_code(error)
        return 0

    def _check_spread(self, options: Any) -> None:
        if engines.resolve(self.study.engine).spreads:
            return
        for name in ("devices", "num_nodes"):
            asked = getattr(options, name)
            if str(asked) != "1":
                raise ValueError(
                    f"{name} must be 1 with engine: {self.study.engine}, got {asked}; it spreads a model by its own "
                    "options, such as engine_options: {tensor_parallel_size: 2}"
                )

    def plan(self) -> str:
        """How much there is to do, and how much of it is done."""
        study, total = self.study, sum(self._rows.values())
        tokens = sum(unit.rows * unit.task.max_new_tokens for unit in study.units())
        lines = [
            f"{task.name}: {len(task.problems)} problems, at most {task.max_new_tokens} tokens a sample"
            for task in study.tasks
        ]
        return "\n".join(
            [
                *lines,
                f"{len(study.arms)} arms x {len(study.tasks)} tasks x {len(study.seeds)} seeds: {len(self._rows)} "
                f"units of at most {study.batch_size} problems, {total} rows, at most {tokens} tokens",
                f"{self._kept()} of {total} rows are in {self.folder.folder}",
            ]
        )

    def _kept(self) -> int:
        return sum(self._rows.get(key, 0) for key in self.folder.kept())

    def _kept_said(self) -> str:
        again = shlex.join(["esamp", *sys.argv[1:]])
        return (
            f"{self._kept()} of {sum(self._rows.values())} rows are in {self.folder.folder}; to go on, run the same "
            f"command again: {again}"
        )

    def _carry_out(self, spread: Spread) -> None:
        spread.launch()
        missing = spread.share([unit.key for unit in self.folder.missing(self.study)])
        if not missing:
            return
        engine = engines.resolve(self.study.engine)(self.study, spread.device)
        if spread.first:
            self.folder.prepare()
            start_manifest(self.study, engine, self.folder, spread.processes, str(spread.device), self._model)
        spread.wait()
        units = {unit.key: unit for unit in self.study.units()}
        mine = [units[key] for key in spread.mine(missing)]
        if not spread.first:
            for _ in run_units(mine, engine, self.folder):
                pass
            spread.wait()
            return
        with Progress(sum(self._rows.values()), self._kept):
            for _ in run_units(mine, engine, self.folder):
                pass
            spread.wait()

    def _finish(self) -> None:
        """What came out, in a few lines."""
        self.folder.close()
        rows = read_rows(self.folder.folder, ["arm", "task", "correct", "detail"]).to_pylist()
        failed = [row["detail"] for row in rows if (row["detail"] or "").startswith(FAILED)]
        finish_manifest(self.folder, len(failed))
        verdicts: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
        for row in rows:
            if row["correct"] is not None:
                verdicts[row["arm"], row["task"]].append(row["correct"])
        for arm in self.study.arms:
            for task in self.study.tasks:
                of = verdicts.get((arm.name, task.name))
                if of:
                    print(
                        f"{task.name}, {arm.name}: {sum(of)} of {len(of)} samples are correct ({sum(of) / len(of):.1%})"
                    )
        if failed:
            print(
                f"esamp: the verifier failed on {len(failed)} of {len(rows)} samples, which are kept without a "
                f"verdict; the first: {failed[0]}",
                file=sys.stderr,
            )
        print(self.folder.folder.resolve())
