from __future__ import annotations

from pathlib import Path

import pytest

BAD = {
    "no prompt": ([], "no prompt was given"),
    "an empty prompt": ([" "], "prompts[0] is empty"),
    "n is zero": (["Hi", "-n", "0"], "n must be an integer >= 1, got 0"),
    "n is a word": (["Hi", "-n", "many"], "n must be an integer, got 'many'"),
    "no value": (["Hi", "--seed"], "--seed needs a value"),
    "beta is negative": (["Hi", "--beta", "-1"], "beta must be a finite number in [0, 1e+06], got -1.0"),
    "beta is not a number": (["Hi", "--beta", "nan"], "beta must be a number or a schedule"),
    "beta is a word": (
        ["Hi", "--beta", "x"],
        "beta must be a number or a schedule, whose name must be one of fire, linear",
    ),
    "a schedule is short": (["Hi", "--beta", "linear:1:3"], "such as linear:START:END:STEPS, got 'linear:1:3'"),
    "a schedule of words": (["Hi", "--temperature", "linear:1:x:3"], "temperature must be a number or a schedule such"),
    "temperature is zero": (["Hi", "--temperature", "0"], "temperature must be a finite number in [1e-06, inf), got 0"),
    "min_p is one": (["Hi", "--min-p", "1"], "min_p must be a finite number in [0, 1), got 1.0"),
    "min_p is a word": (["Hi", "--min-p", "x"], "min_p must be a finite number, got 'x'"),
    "top_k is zero": (["Hi", "--top-k", "0"], "top_k must be an integer >= 1, got 0"),
    "filtering": (["Hi", "--filtering", "after"], "filtering must be one of post-filter, pre-filter, got 'after'"),
    "too long": (["Hi", "--max-new-tokens", "9999"], "max_new_tokens must be at most"),
    "an unknown option": (["Hi", "--betta", "3"], "unknown option --betta (did you mean --beta"),
    "an abbreviated option": (["Hi", "--temp", "3"], "unknown option --temp"),
    "an unknown part": (["Hi", "--distiller", "mpl"], "got 'mpl'; did you mean 'mlp'"),
    "an unknown part, long": (["Hi", "--sampler.fusion", "betamix"], "did you mean 'beta_mix'"),
    "a part that is not there": (["Hi", "--scheduler", "nowhere.Scheduler"], "cannot be imported"),
    "a part of another kind": (["Hi", "--fusion", "esamp.MLPDistiller"], "not a concrete subclass of NoveltyFusion"),
    "an abstract part": (["Hi", "--distiller", "tests.cli.parts_of_a_user.Unfinished"], "not a concrete subclass"),
    "an option of a part": (
        ["Hi", "--distiller", "mlp", "--distiller.widht", "3"],
        "has no option 'widht' (did you mean width?)",
    ),
    "a part's value": (["Hi", "--distiller", "mlp", "--distiller.width", "0"], "width must be an integer >= 1, got 0"),
    "a part's type": (
        ["Hi", "--distiller=mlp", "--distiller.width", "wide"],
        "distiller.width must be an integer, got 'wide'",
    ),
    "an unknown selection": (["Hi", "--select", "majorty"], "select must be one of"),
    "a reward that is not there": (["Hi", "--select", "best:no.where"], "reward 'no.where' cannot be imported"),
    "a model that is not there": (["Hi", "--model", "/not/there"], "model must be 'smollm2-135m', a folder"),
    "a device that is not there": (["Hi", "--device", "abacus"], "device must be one that"),
    "an unknown dtype": (["Hi", "--dtype", "float7"], "dtype must be"),
    "a configuration that is not there": (["--config", "/not/there.yaml"], "config must be a YAML file"),
    "prompts that are not there": (["--prompts-file", "/not/there.txt"], "prompts-file must be a text file"),
    "a file in place of a folder": (["Hi", "--json", "/dev/null/out.jsonl"], "json must be a file in a folder"),
    "a folder in place of a file": (["Hi", "--json", "/"], "json must be a file, got the folder '/'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(generate, case: str):
    argv, said = BAD[case]
    got = generate(*argv)
    assert got.code == 2
    assert got.err.count("\n") == 1
    assert got.err.startswith("esamp: error: ")
    assert said in got.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1", "holds a list"),
        ("a: [", "is no YAML"),
        ("samples: 3", "config has no option 'samples'"),
        ("n: three", "n must be an integer, got 'three'"),
        ("sampler: 3", "must hold its options as keys"),
        ("sampler: {distiler: mlp}", "config has no option 'sampler.distiler' (did you mean distiller?)"),
        ("sampler: {distiller: mpl}", "did you mean 'mlp'"),
        ("sampler: {beta: 1}\nbeta: 2", "beta stands twice"),
        ("distiller: {class_path: mlp, init_args: {widht: 1}}", "has no option 'widht' (did you mean width?)"),
    ],
)
def test_a_bad_configuration_is_named(generate, tmp_path: Path, text: str, said: str):
    (tmp_path / "c.yaml").write_text(text)
    got = generate("Hi", "--config", str(tmp_path / "c.yaml"))
    assert got.code == 2 and got.err.count("\n") == 1
    assert said in got.err


def test_an_unknown_command_gets_the_nearest(esamp):
    got = esamp("genrate")
    assert got.code == 2
    assert got.err.startswith("esamp: error: command must be one of") and "did you mean 'generate'" in got.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--beta", "0"], "beta must be > 0, got 0; plain sampling is shown anyway"),
        (["-n", "0"], "n must be an integer >= 1, got 0"),
        (["--out", "/"], "out must be a file, got the folder '/'"),
    ],
)
def test_the_demo_refuses_before_it_generates(esamp, model: str, tmp_path: Path, argv: list[str], said: str):
    got = esamp("demo", "--model", model, "--out", str(tmp_path / "p.html"), *argv)
    assert got.code == 2 and got.err.count("\n") == 1
    assert said in got.err
