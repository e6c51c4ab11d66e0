from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers.utils import logging

from esamp import ESampSampler
from esamp.cli import generate as command
from esamp.cli.console import make_console, show_prompt


def lines(path: Path) -> list[dict]:
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_prints_the_pipeline_and_the_samples_and_writes_a_line_for_each(generate, tmp_path: Path):
    got = generate("Hi", "Ho", "--json", str(tmp_path / "new" / "out.jsonl"))
    assert got.code == 0 and got.err == ""
    assert (
        "predict: RecursiveLeastSquaresDistiller" in got.out
        and "fusion: BetaMix" in got.out
        and "min_p 0.05" in got.out
    )
    written = lines(tmp_path / "new" / "out.jsonl")
    assert sorted((line["prompt"], line["index"]) for line in written) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(len(line["token_ids"]) <= 6 for line in written)


def test_compares_with_plain_sampling(esamp, model: str):
    got = esamp("generate", "Hi", "--model", model, "-n", "3", "--max-new-tokens", "8")
    assert got.code == 0 and got.err == ""
    table = got.out[got.out.index("score ") :]
    assert table.splitlines()[0].split()[1:3] == ["plain", "ESamp"]
    for name in ("Vendi score", "mean cosine", "repetition", "perplexity", "tokens/s"):
        assert name in table


def test_a_pipe_gets_no_colours_and_no_bars(esamp, model: str):
    got = esamp("generate", "Hi", "--model", model, "-n", "2", "--max-new-tokens", "4")
    assert "\x1b" not in got.out and "\r" not in got.out + got.err


def test_beta_zero_is_plain_sampling_and_has_nothing_to_compare_with(esamp, model: str):
    got = esamp("generate", "Hi", "--model", model, "-n", "2", "--max-new-tokens", "4", "--beta", "0")
    assert got.code == 0
    assert "ESamp" not in got.out and "plain" in got.out


def test_options_reach_the_sampler(generate, model: str, tmp_path: Path):
    out = tmp_path / "out.jsonl"
    generate("Hi", "--temperature", "1.7", "--top-k=9", "--seed", "5", "--beta", "2", "--no-chat", "--json", str(out))
    sampler = ESampSampler.from_pretrained(model)
    wanted = sampler.generate("Hi", 2, max_new_tokens=6, temperature=1.7, top_k=9, seed=5, beta=2.0)
    assert {line["index"]: line["token_ids"] for line in lines(out)} == {
        sample.index: sample.token_ids.tolist() for sample in wanted.samples[0]
    }


def test_waves_prompt_learning_and_sharing_reach_the_sampler(generate, model: str, tmp_path: Path):
    out = tmp_path / "out.jsonl"
    options = ["--waves", "2", "--learn-prompt", "--sharing", "whole_batch", "--no-chat", "--beta", "2"]
    got = generate("Hi", "Ho", *options, "--json", str(out))
    assert got.code == 0
    sampler = ESampSampler.from_pretrained(model, beta=2.0, learn_prompt=True, sharing="whole_batch")
    wanted = sampler.generate(["Hi", "Ho"], 2, max_new_tokens=6, waves=2)
    assert {(line["prompt"], line["index"]): line["token_ids"] for line in lines(out)} == {
        (sample.prompt, sample.index): sample.token_ids.tolist() for samples in wanted.samples for sample in samples
    }


def test_a_compiled_model_is_compiled_before_anything_is_timed(
    generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    compiled: list[object] = []
    # The real compiler has tests of its own; run-time type checks, which these here have, cannot be traced.
    monkeypatch.setattr(torch, "compile", lambda forward, **arguments: compiled.append(arguments) or forward)
    out = tmp_path / "out.jsonl"
    got = generate("Hi", "--compiled", "--json", str(out))
    assert (got.code, len(compiled)) == (0, 1)
    assert "compiling the model" in got.err and "LlamaForCausalLM, compiled" in got.out
    assert json.loads((tmp_path / "out.jsonl.manifest.json").read_text())["settings"]["compiled"] is True
    plain = tmp_path / "plain.jsonl"
    assert "compil" not in generate("Hi", "--json", str(plain)).err
    assert [line["token_ids"] for line in lines(out)] == [line["token_ids"] for line in lines(plain)]


def test_the_chat_template_is_used_unless_it_is_refused(generate, tmp_path: Path):
    tokens = []
    for flags in ([], ["--no-chat"]):
        generate("Hi", "--json", str(tmp_path / "out.jsonl"), *flags)
        tokens.append([line["token_ids"] for line in lines(tmp_path / "out.jsonl")])
    assert tokens[0] != tokens[1]


def test_prompts_from_a_file_follow_those_of_the_command_line(generate, tmp_path: Path):
    (tmp_path / "prompts.txt").write_text("Second\n\nThird\n")
    got = generate("First", "--prompts-file", str(tmp_path / "prompts.txt"))
    assert got.out.index("First") < got.out.index("Second") < got.out.index("Third")


def test_what_is_selected_stands_below_the_samples(generate, tmp_path: Path):
    out = tmp_path / "o.jsonl"
    got = generate("Hi", "-n", "4", "--select", "rerank", "--json", str(out))
    assert got.code == 0 and got.err == ""
    numbers = [line.split()[0] for line in got.out.split("Selected rerank")[1].splitlines()[1:] if line.split()]
    means = {line["index"]: sum(p := line["reference_log_probs"]) / len(p) for line in lines(out)}
    ranked = sorted(means, key=means.__getitem__, reverse=True)
    assert [number for number in numbers if number in "0123"] == [str(index) for index in ranked]


def test_a_majority_is_selected_by_the_answer_asked_for(generate):
    got = generate("Hi", "-n", "3", "--select", "majority:no such answer")
    assert "Selected majority:no such answer: no sample has an answer" in got.out


def test_stop_strings_may_be_repeated(generate, tmp_path: Path):
    generate("Hi", "--stop", "e", "--stop", "a", "--max-new-tokens", "40", "--json", str(tmp_path / "o.jsonl"))
    written = lines(tmp_path / "o.jsonl")
    assert all("e" not in line["text"] and "a" not in line["text"] for line in written)
    assert "stop" in {line["finish_reason"] for line in written}


def test_without_the_embedder_the_other_scores_are_shown_and_the_way_out(esamp, model: str, monkeypatch):
    def missing() -> None:
        raise ModuleNotFoundError("run: pip install it")

    monkeypatch.setattr(command, "MiniLM", missing)
    got = esamp("generate", "Hi", "--model", model, "-n", "2", "--max-new-tokens", "4")
    assert got.code == 0
    assert "perplexity" in got.out and "Vendi score" not in got.out
    assert "run: pip install it" in got.out


def test_a_text_can_steer_neither_the_terminal_nor_the_markup(capsys):
    show_prompt(make_console(), "[red]Hi[/red] \x1b[2J\x07 end")
    assert "[red]Hi[/red] �[2J� end" in capsys.readouterr().out


def test_transformers_speaks_again_afterwards(generate):
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    generate("Hi")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert torch.is_grad_enabled()
