"""Callbacks of `ESampSampler.generate`.

Examples:
    A callback of one's own, and those that are there, in one run:

    >>> from esamp.callbacks import *
    >>> import tempfile
    >>> from pathlib import Path
    >>> from lightning.pytorch.loggers import CSVLogger
    >>> from esamp import ESampSampler
    >>> from esamp.testing.models import tiny_model, tiny_tokenizer
    >>> class Teller(Callback):
    ...     def on_generate_start(self, start: GenerateStart) -> None:
    ...         print(f"{start.samples} samples of at most {start.max_new_tokens} tokens")
    ...     def on_step(self, record: StepRecord) -> None:
    ...         print(record.step, record.sample.tolist(), tuple(record.drawn.tokens.shape))
    >>> scratch, tokenizer, heard = tempfile.TemporaryDirectory(), tiny_tokenizer(), []
    >>> folder = Path(scratch.name)
    >>> streamer = TextStreamer(tokenizer, lambda prompt, sample, piece: heard.append(piece))
    >>> writer, logger = JSONLWriter(folder / "samples.jsonl"), LoggerCallback(CSVLogger(folder / "log"))
    >>> sampler = ESampSampler(tiny_model(), tokenizer)
    >>> callbacks = [Teller(), streamer, writer, logger, ProgressBar()]
    >>> result = sampler.generate("Hello", n=2, max_new_tokens=3, ignore_eos=True, callbacks=callbacks)
    2 samples of at most 3 tokens
    0 [0, 1] (2,)
    1 [0, 1] (2,)
    2 [0, 1] (2,)
    >>> sorted(path.name for path in folder.iterdir())
    ['log', 'samples.jsonl']
    >>> len((folder / "samples.jsonl").read_text().splitlines())
    2
    >>> len("".join(heard)) == len("".join(result.texts[0]))
    True
    >>> scratch.cleanup()
"""

from esamp.callbacks.base import Callback, GenerateStart, StepRecord
from esamp.callbacks.jsonl import JSONLWriter
from esamp.callbacks.logger import LoggerCallback
from esamp.callbacks.progress import ProgressBar
from esamp.callbacks.streaming import TextStreamer

__all__ = ["Callback", "GenerateStart", "JSONLWriter", "LoggerCallback", "ProgressBar", "StepRecord", "TextStreamer"]
