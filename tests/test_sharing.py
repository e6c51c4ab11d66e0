from __future__ import annotations

import pytest
import torch

from esamp.sharing import ByKey, BySimilarity, PerPrompt, WholeBatch, sharings


def embed(texts):
    """The first letter decides."""
    return torch.stack([torch.nn.functional.one_hot(torch.tensor(ord(text[0]) - 97), 26).float() for text in texts])


def test_equal_prompts_share_nothing_by_default():
    assert PerPrompt().groups(["same", "same"]) == [0, 1]


def test_the_strategies_group_as_they_say():
    texts = ["ape", "bee", "ant", "cow"]
    assert WholeBatch().groups(texts) == [0, 0, 0, 0]
    assert ByKey([7, None, 7, "x"]).groups(texts) == [0, 1, 0, 2]
    assert BySimilarity(embed, threshold=0.9).groups(texts) == [0, 1, 0, 2]
    assert BySimilarity(embed, threshold=-1.0).groups(texts) == [0, 0, 0, 0]


def test_a_key_is_needed_for_each_prompt():
    with pytest.raises(ValueError, match="keys must hold one key for each of the 2 prompts, got 1"):
        ByKey(["a"]).groups(["x", "y"])


def test_they_go_by_name():
    assert isinstance(sharings.build("whole_batch"), WholeBatch)
