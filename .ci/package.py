"""Builds the sdist and the wheel, installs the wheel into an empty environment and uses it: `make package`.

The environment has nothing of its own but esamp; what esamp depends on is read from where this Python has it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

_USE = """
import importlib.metadata, pathlib, sys
import esamp
from esamp import ESampSampler
from esamp.testing.models import tiny_model, tiny_tokenizer

place = pathlib.Path(esamp.__file__)
assert place.is_relative_to(sys.prefix), f"esamp comes from {place}, not from the wheel"
assert importlib.metadata.version("esamp") == esamp.__version__
result = ESampSampler(tiny_model(), tiny_tokenizer()).generate("Hello", n=2, max_new_tokens=4, ignore_eos=True)
assert result.tokens == 8
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sdist, wheel = build(ROOT, folder / "dist", "sdist"), build(ROOT, folder / "dist", "wheel")
        check_data(wheel)
        check_sdist(sdist, wheel, folder)
        python = install(wheel, folder / "environment")
        for command in (["-c", _USE], ["-m", "esamp", "--help"], ["-m", "esamp", "tasks"], ["-m", "esamp", "doctor"]):
            # Away from the tree, so that nothing of it is imported by chance.
            subprocess.run([python, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        print(f"{wheel.name}: builds, installs, generates; {sdist.name} builds the same")


def build(tree: Path, out: Path, target: str) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(out)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    (built,) = out.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


def check_data(wheel: Path) -> None:
    """Every file that git knows below esamp/ is in the wheel: code, templates, data, licences, py.typed."""
    listed = subprocess.run(["git", "ls-files", "esamp"], cwd=ROOT, check=True, capture_output=True, text=True)
    with zipfile.ZipFile(wheel) as archive:
        missing = set(listed.stdout.split()) - set(archive.namelist())
    if missing:
        raise SystemExit(f"{wheel.name} lacks {', '.join(sorted(missing))}")


def check_sdist(sdist: Path, wheel: Path, folder: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (tree,) = (folder / "source").iterdir()
    if contents(build(tree, folder / "again", "wheel")) != contents(wheel):
        raise SystemExit(f"{sdist.name} builds another wheel than the tree")


def contents(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def install(wheel: Path, place: Path) -> Path:
    """An environment with the wheel; gives its Python."""
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    # A path given so comes after the environment's own, and an editable esamp there is not followed.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


if __name__ == "__main__":
    main()
