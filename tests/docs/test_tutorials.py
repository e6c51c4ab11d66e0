"""Every tutorial runs from top to bottom in its short form, and shows what its code printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from esamp.testing.models import tiny_model, tiny_tokenizer
from tools.tutorials import Outcome, Page, run_page

FOLDER = Path(__file__).parents[2] / "docs/tutorials"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if Page.read(path).blocks)
OTHERS = [name for name in PAGES if name != "rollouts"]


def run_short(name: str, folder: Path) -> tuple[Page, Outcome]:
    """A tutorial's short form, run in a folder that has a tiny model, "tiny"."""
    tiny_model().save_pretrained(folder / "tiny")
    tiny_tokenizer(chat_template=True).save_pretrained(folder / "tiny")
    page = Page.read(FOLDER / f"{name}.md").shortened()
    return page, run_page(page, folder)


def shown(page: Page, outcome: Outcome) -> int:
    """Number of outputs that the page should have."""
    return sum(page.blocks[index].shown != "none" for index in outcome.printed)


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_shows_was_made_by_the_code_that_it_shows(name: str) -> None:
    page = Page.read(FOLDER / f"{name}.md")
    assert page.stamp == page.code_hash, f"code was edited since it ran: python -m tools.tutorials {page.path}"
    images = set(re.findall(r"\]\((images/[^)]+|pages/[^)]+)\)", page.source))
    assert images == set(page.made), "a figure was not made by the page's code"
    for target in page.made:
        assert (FOLDER / target).is_file()


@pytest.mark.parametrize("name", OTHERS)
def test_a_tutorial_runs(name: str, tmp_path: Path) -> None:
    page, outcome = run_short(name, tmp_path)
    assert page.outputs == shown(page, outcome)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_the_tutorial_of_rollouts_trains_on_the_right_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.trainer.grpo_trainer import GRPOTrainer

    seen: list[tuple[str, dict[str, torch.Tensor]]] = []
    compute = GRPOTrainer._compute_loss

    def spy(self: GRPOTrainer, model: object, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append((type(self).__name__, inputs))
        return compute(self, model, inputs)

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", spy)
    page, outcome = run_short("rollouts", tmp_path)
    assert page.outputs == shown(page, outcome)
    before = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny").lm_head.weight
    assert not torch.equal(outcome.names["trainer"].model.lm_head.weight, before)
    # Only with the three lines of the page is the ratio one over what was drawn from.
    (explored, with_q), (plain, without) = seen
    assert (explored, plain) == ("OffPolicyGRPOTrainer", "GRPOTrainer")
    assert torch.equal(with_q["old_per_token_logps"], with_q["sampling_per_token_logps"])
    assert without.get("old_per_token_logps") is None
