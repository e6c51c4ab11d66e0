"""What the library must not do with bytes, names and text that come from somebody else, read off its own source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import esamp
from esamp.cli.spelling import read_yaml

HOME = Path(esamp.__file__).parent
ROOT = HOME.parent
_FOLDERS = [HOME, *(folder for name in ("benchmarks", "fuzz") if (folder := ROOT / name).is_dir())]
SOURCES = sorted(file for folder in _FOLDERS for file in folder.rglob("*.py"))

# Reading with these is running what was written.
FORBIDDEN_CALLS = {
    "pickle.load": "unpickles",
    "pickle.loads": "unpickles",
    "marshal.loads": "loads code",
    "dill.load": "unpickles",
    "joblib.load": "unpickles",
    "yaml.load": "may construct any object",
    "yaml.unsafe_load": "constructs any object",
    "yaml.full_load": "constructs objects",
    "torch.jit.load": "loads code",
    "torch.hub.load": "downloads code",
    "os.system": "goes through a shell",
}


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call with its dotted name, imported names written out."""
    tree = ast.parse(source)
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            yield known.get(first, first) + dot + rest, node


def offences(source: str) -> list[str]:
    """What is wrong with a source file."""
    found: list[str] = []
    for name, call in calls(source):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if name in FORBIDDEN_CALLS:
            found.append(f"{name} {FORBIDDEN_CALLS[name]}")
        if name in ("eval", "exec"):
            found.append(f"{name} runs text")
        if name.endswith("torch.load") and given.get("weights_only") != "True":
            found.append("torch.load without weights_only=True unpickles")
        if name.endswith((".fit", ".load_from_checkpoint")) and given.get("weights_only", "True") != "True":
            found.append("a checkpoint is unpickled")
        if name.endswith("numpy.load") and given.get("allow_pickle", "False") != "False":
            found.append("numpy.load unpickles")
        if given.get("trust_remote_code", "False") != "False":
            found.append("trust_remote_code runs a model's own code")
        if given.get("shell", "False") != "False":
            found.append("shell=True")
        if given.get("autoescape") == "False":
            found.append("a template without escaping")
    return found


# A sandboxed worker runs what a sample says: that is all it is for, and it is off by default.
_RUNS_CODE = {"esamp/tasks/isolated_child.py"}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_runs_what_it_reads(file: Path) -> None:
    if str(file.relative_to(ROOT)) not in _RUNS_CODE:
        assert offences(file.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('a')",
        "from torch import load as read\nimport torch\ntorch.load('a', weights_only=False)",
        "import pickle as p\np.loads(b'')",
        "from yaml import load\nload('a')",
        "AutoModel.from_pretrained('a', trust_remote_code=True)",
        "import subprocess\nsubprocess.run('a', shell=True)",
        "eval('1')",
        "trainer.fit(module, ckpt_path='a', weights_only=False)",
    ],
)
def test_an_offence_is_seen(source: str) -> None:
    assert offences(source)


def test_checkpoints_are_read_as_weights_only() -> None:
    """Lightning reads them itself, where it is told how."""
    text = (HOME / "training" / "fitting.py").read_text()
    (fit,) = [call for name, call in calls(text) if name == "trainer.fit"]
    assert {keyword.arg: ast.unparse(keyword.value) for keyword in fit.keywords}["weights_only"] == "True"


@pytest.mark.parametrize(
    "text", ["a: !!python/object/apply:os.getcwd []", "a: !!python/name:os.system", "!!python/tuple [1]"]
)
def test_yaml_makes_plain_values_only(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ValueError, match="is no YAML"):
        read_yaml("config", str(tmp_path / "c.yaml"))
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(text)


def test_a_checkpoint_that_holds_code_is_refused(tmp_path: Path) -> None:
    import pickle

    from esamp.training import FitSettings

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    (tmp_path / "last.ckpt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"resume must be a checkpoint that `esamp fit` left.*cannot be read"):
        FitSettings(tmp_path / "out", resume=tmp_path / "last.ckpt")
    assert not (tmp_path / "ran").exists()


def test_a_model_folder_that_brings_code_is_refused(tmp_path: Path) -> None:
    from esamp.engines.huggingface.loading import load

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass C: pass\n")
    (folder / "config.json").write_text(
        '{"model_type": "evil", "architectures": ["C"], "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": '
        '"evil.C"}}'
    )
    with pytest.raises(ValueError, match="model must be 'smollm2-135m', a folder"):
        load(str(folder))
    assert not (tmp_path / "ran").exists()
