"""Training a distiller before it samples: pairs (h¹, hᴸ) recorded from text, and a fit with Lightning.

texts → windows of tokens → pairs on disk → a LightningModule and a Trainer → a checkpoint, and start weights.

Examples:
    From text to the start weights of a distiller, with a tiny model:

    >>> from esamp.training import *
    >>> import tempfile
    >>> from pathlib import Path
    >>> from esamp.distillers import LowRankDistiller
    >>> from esamp.engines.huggingface.engine import HuggingFaceEngine
    >>> from esamp.testing.models import tiny_model, tiny_tokenizer
    >>> scratch = tempfile.TemporaryDirectory()
    >>> out = Path(scratch.name)
    >>> _ = (out / "text.txt").write_text("the keeper of the light walked down to the shore " * 20)
    >>> engine = HuggingFaceEngine(tiny_model(), tiny_tokenizer())
    >>> windows = windows_of(engine, read_texts([out / "text.txt"]), window=16)
    >>> pairs, recorded_before = record(engine, windows, out / "pairs")
    >>> len(pairs) == 15 * len(windows), pairs.hidden_size, recorded_before
    (True, 64, False)
    >>> distiller = check_trainable(LowRankDistiller(rank=4))
    >>> settings = FitSettings(out / "fit", lr=0.01, trainer={"max_epochs": 3, "accelerator": "cpu"})
    >>> fitted: Fitted = fit(distiller, pairs, positions=15, settings=settings, model="tiny")
    >>> fitted.start.name, fitted.epochs, fitted.after < fitted.before
    ('trunk.safetensors', 3, True)
    >>> LowRankDistiller(rank=4, start=str(fitted.start)).beginning.endswith("trunk.safetensors")
    True

    The pieces that `fit` puts together, for a training of one's own:

    >>> data = PairsDataModule(pairs, positions=15, batch_size=32)
    >>> module = DistillerModule(distiller, pairs.hidden_size, data.variance())
    >>> shallow, deep = next(iter(data.train_dataloader()))
    >>> shallow.shape, module(shallow).shape
    (torch.Size([32, 64]), torch.Size([32, 64]))
    >>> scratch.cleanup()
"""

from esamp.training.data import PairsDataModule
from esamp.training.fitting import Fitted, fit
from esamp.training.module import DistillerModule, check_trainable
from esamp.training.pairs import Pairs
from esamp.training.recording import record
from esamp.training.settings import FitSettings
from esamp.training.texts import read_texts, windows_of

__all__ = [
    "DistillerModule",
    "FitSettings",
    "Fitted",
    "Pairs",
    "PairsDataModule",
    "check_trainable",
    "fit",
    "read_texts",
    "record",
    "windows_of",
]
