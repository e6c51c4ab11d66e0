"""`esamp fit`: trains a distiller on text before it samples."""

from __future__ import annotations

import copy
import inspect
import shlex
import sys
from pathlib import Path
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from tqdm import tqdm
from typing_extensions import override

from esamp.cli.arguments import add_distiller, add_model
from esamp.cli.console import make_console
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.cli.run_manifest import write_manifest
from esamp.cli.signals import exit_code
from esamp.cli.spelling import Spelling
from esamp.distillers import Distiller, distillers
from esamp.distillers.start_file import arguments_of
from esamp.engines.huggingface.embedded import EMBEDDED_NAME
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loading import load
from esamp.training import FitSettings, Fitted, Pairs, check_trainable, fit, read_texts, record, windows_of
from esamp.training.fitting import LAST_CHECKPOINT
from esamp.training.module import UNEXPLAINED

__all__ = ["parser", "run"]

# Arguments of a distiller that say how its weights begin, which the file now does.
_OF_THE_START = ("start", "seed")

_EXAMPLES = """\
examples:
  esamp fit book.txt
  esamp fit *.txt --distiller low_rank --distiller.rank 128 --out runs/rank128 --trainer.max_epochs 20
  esamp fit book.txt --resume runs/fit/checkpoints/last.ckpt --trainer.max_epochs 100
  esamp generate "Tell me a joke" --distiller low_rank --distiller.start runs/fit/trunk.safetensors
"""


def parser() -> Parser:
    """The options of `esamp fit`."""
    made = Parser(
        "fit",
        Spelling("texts"),
        usage="TEXT ... [options]",
        description=(
            "Lets the model read text files, records the first layer's and the last hidden state of every position,\n"
            "and trains a distiller on them with Lightning. Its weights are a start for `esamp generate`."
        ),
        epilog=_EXAMPLES,
    )
    made.add_config()
    what = made.group("what to learn from")
    what.add_argument("--texts", type=list[str], default=[], metavar="TEXT", help="one or more text files, in UTF-8")
    what.add_argument("--window", type=int, default=256, metavar="N", help="tokens that are read together (256)")
    what.add_argument("--out", type=str, default="runs/fit", metavar="DIR", help="where everything goes (runs/fit)")
    add_distiller(made, "low_rank")
    training = made.group("training")
    training.add_argument("--lr", type=float, default=1e-3, help="learning rate of Adam (0.001)")
    training.add_argument("--batch-size", type=int, default=256, metavar="N", help="positions of one step (256)")
    training.add_argument(
        "--validation", type=float, default=0.1, metavar="SHARE", help="share of the text that is held out (0.1)"
    )
    training.add_argument(
        "--patience", type=int, default=5, metavar="N", help="epochs without progress before it stops (5)"
    )
    training.add_argument("--seed", type=int, default=0, help="of the order of the positions (0)")
    training.add_argument("--resume", type=str, default=None, metavar="FILE", help="go on from a checkpoint (.ckpt)")
    _add_trainer(made)
    add_model(made)
    return made


def run(options: Any) -> int:
    """Record, train, report. Ctrl-C and SIGTERM keep the last finished epoch and give 130 and 143."""
    console = make_console()
    checkpoint = Path(options.out) / LAST_CHECKPOINT
    older = checkpoint.stat().st_mtime_ns if checkpoint.is_file() else None
    try:
        with quiet():
            _fit(options, console)
    except KeyboardInterrupt as stopped:
        kept = checkpoint.is_file() and checkpoint.stat().st_mtime_ns != older
        left = f"go on with --resume {checkpoint}" if kept else "no epoch was finished, so there is nothing to resume"
        print(f"esamp: interrupted; {left}", file=sys.stderr)
        return exit_code(stopped)
    return 0


def _add_trainer(made: Parser) -> None:
    """The options of Lightning's Trainer that a fit has a use for, under their own names."""
    group = made.group("trainer (Lightning's own options)")
    group.add_argument("--trainer.max_epochs", type=int, default=50, metavar="N", help="epochs at most (50)")
    group.add_argument("--trainer.max_time", type=str | None, default=None, metavar="DD:HH:MM:SS", help="time at most")
    group.add_argument("--trainer.accelerator", type=str, default="auto", metavar="NAME", help="cpu, gpu, ... (auto)")
    group.add_argument("--trainer.devices", type=int | str, default="auto", metavar="N", help="how many (auto)")
    group.add_argument("--trainer.strategy", type=str, default="auto", metavar="NAME", help="ddp, ... (auto)")
    group.add_argument(
        "--trainer.precision", type=str, default="32-true", metavar="NAME", help="bf16-mixed, ... (32-true)"
    )
    group.add_argument(
        "--trainer.gradient_clip_val", type=float | None, default=0.5, metavar="X", help="largest gradient norm (0.5)"
    )
    group.add_argument(
        "--trainer.accumulate_grad_batches", type=int, default=1, metavar="N", help="batches of one step (1)"
    )


def _fit(options: Any, console: Console) -> None:
    distiller: Distiller = check_trainable(distillers.build(options.sampler.distiller))
    texts = read_texts(options.texts)
    settings = FitSettings(
        out=Path(options.out),
        lr=options.lr,
        batch_size=options.batch_size,
        validation=options.validation,
        patience=options.patience,
        seed=options.seed,
        resume=None if options.resume is None else Path(options.resume),
        trainer=vars(options.trainer),
    )
    engine = HuggingFaceEngine(*load(options.model, options.dtype, options.device))
    distiller = copy.deepcopy(distiller)
    distiller.bind(engine.llm)
    distiller.memory(engine.head.weight.shape[1])
    windows = windows_of(engine, texts, options.window)
    pairs = _record(engine, windows, settings.out / "pairs", console)
    asked = {"texts": options.texts, "window": options.window, "distiller": distillers.name_of(distiller)}
    asked |= {"arguments": arguments_of(distiller), "seed": options.seed, "lr": options.lr, "trainer": settings.trainer}
    write_manifest(settings.out / "manifest.json", str(options.model), engine.model, asked)
    fitted = fit(distiller, pairs, options.window - 1, settings, model=str(options.model), callbacks=[_Epochs(console)])
    _report(console, fitted, _use(distiller, fitted.start, options.model))


def _record(engine: HuggingFaceEngine, windows: Any, root: Path, console: Console) -> Pairs:
    with tqdm(total=len(windows), desc="recording", unit="window", disable=not sys.stderr.isatty(), leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.update(done - bar.n)

        pairs, reused = record(engine, windows, root, progress)
    told = "recorded before" if reused else "recorded now"
    console.print(f"{len(pairs)} pairs of {len(windows)} windows, {told}: {pairs.folder}", soft_wrap=True, markup=False)
    return pairs


def _use(distiller: Distiller, start: Path, model: str) -> str:
    """The options of `esamp generate` that start from the weights."""
    cls = type(distiller)
    name = distillers.name_of(distiller)
    words = ["--distiller", name if name in distillers.names() else f"{cls.__module__}.{cls.__qualname__}"]
    defaults = inspect.signature(cls).parameters
    for key, value in arguments_of(distiller).items():
        if key not in _OF_THE_START and value != defaults[key].default:
            words += [f"--distiller.{key}", str(value)]
    words += ["--distiller.start", str(start)]
    return shlex.join(words if model == EMBEDDED_NAME else ["--model", model, *words])


def _report(console: Console, fitted: Fitted, use: str) -> None:
    lines = [
        "",
        f"variance unexplained on held-out text: {fitted.before:.3f} before, {fitted.after:.3f} after "
        f"(epoch {fitted.epoch} of {fitted.epochs}; 1: as good as the best constant)",
        f"start weights: {fitted.start}",
        f"last epoch:    {fitted.checkpoint} (for --resume)",
        f'use them: esamp generate "Tell me a joke" {use}',
    ]
    console.print(*lines, sep="\n", soft_wrap=True, markup=False)


@final
class _Epochs(Callback):
    """A line for each epoch."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        share, loss = (float(trainer.callback_metrics[name]) for name in (UNEXPLAINED, "train_loss"))
        if trainer.is_global_zero:
            self.console.print(
                f"epoch {trainer.current_epoch + 1:3d}  loss {loss:.4f}  unexplained {share:.3f}", markup=False
            )
