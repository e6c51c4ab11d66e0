from __future__ import annotations

import subprocess
import sys

import pytest

import esamp
from esamp.cli.main import COMMANDS, main


def test_version_and_help_need_no_model_and_no_torch():
    run = "from esamp.cli.main import main; main(['--version']); main(['--help'])"
    code = f"import sys; {run}; assert 'torch' not in sys.modules"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith(f"esamp {esamp.__version__}\n")
    assert all(name in out for name in COMMANDS)


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "esamp", "nonsense"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("esamp: error: command must be one of")


def test_no_command_shows_the_help_and_fails(capsys):
    assert main([]) == 2
    assert "usage: esamp COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_in_our_own_spelling(name: str, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    out = capsys.readouterr().out
    assert stopped.value.code == 0
    assert f"usage: esamp {name}" in out
    assert "--sampler.d" not in out and "class_path" not in out and "<class" not in out and "\b" not in out
    assert all(len(line) <= 110 for line in out.splitlines())
