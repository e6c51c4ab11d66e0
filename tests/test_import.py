"""What importing the library costs, and that it never asks the network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

import esamp
from esamp.testing.models import tiny_model


def run(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_library_imports_nothing_but_itself() -> None:
    code = (
        "import sys; before = set(sys.modules); import esamp; dir(esamp); new = sorted(set(sys.modules) - before); "
        "print([name for name in new if name.partition('.')[0] not in sys.stdlib_module_names], len(new) < 60)"
    )
    assert run(code) == "['esamp'] True"


def test_every_public_name_is_there_and_listed() -> None:
    assert sorted(esamp.__all__) == list(esamp.__all__)
    for name in esamp.__all__:
        assert getattr(esamp, name).__name__ == name
        assert name in dir(esamp)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"'esamp' has no attribute 'ESamp'; it has .*ESampSampler"):
        _ = esamp.ESamp


_OFFLINE = """
import socket, sys

def refuse(*_, **__):
    raise AssertionError("the network was asked")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse

from esamp import ESampSampler

sampler = ESampSampler.from_pretrained(sys.argv[1], device="cpu")
result = sampler.generate(["Hello", [{"role": "user", "content": "Hi"}]], n=2, max_new_tokens=4, ignore_eos=True)
print(result.tokens)
"""


def test_loading_and_generating_never_ask_the_network(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_model().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    # As users have it: nothing tells the hub's client to stay offline.
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    assert run(_OFFLINE, str(tmp_path)) == "16"
