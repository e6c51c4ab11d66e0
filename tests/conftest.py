from __future__ import annotations

import signal

import pytest
import torch
from hypothesis import settings
from transformers import PreTrainedTokenizerFast

from esamp.testing.models import tiny_tokenizer

# Tensors in tests are tiny: a second thread only waits for the first, and on a busy machine it waits long.
torch.set_num_threads(1)

# A shell without job control starts what it puts into the background deaf to Ctrl-C, and so would the processes be that
# the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, so that a tree is either green or not; --hypothesis-profile=thorough looks further.
settings.register_profile("default", deadline=None, derandomize=True, database=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("default")


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """Of every tiny model, chat template included."""
    return tiny_tokenizer(chat_template=True)
