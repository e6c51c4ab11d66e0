"""What a request may ask for, and how it is told what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jaxtyping
import pytest

from esamp.engines.vllm.chosen_fusion import OFFERED
from esamp.engines.vllm.requests import parse


@pytest.fixture(autouse=True)
def as_users_run_it() -> Iterator[None]:
    """Without the checks of annotations that the other tests add: what is told is what a client reads."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def params(extra: dict[str, Any] | None, **native: Any) -> Any:
    own: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    return SimpleNamespace(extra_args=extra, **(own | native))


@pytest.mark.parametrize("extra", [None, {}, {"somebody": "else's"}])
def test_absent_means_untouched(extra: dict[str, Any] | None) -> None:
    assert parse(params(extra)) is None


def test_everything_that_is_given_is_kept() -> None:
    asked = parse(
        params(
            {
                "esamp_beta": 1,
                "esamp_group": 7,
                "esamp_seed": 3,
                "esamp_sample": 2,
                "esamp_warmup": 4,
                "esamp_fusion": "subtraction",
                "esamp_min_p": 0.1,
                "esamp_top_k": 20,
            },
            temperature=0.7,
            top_p=0.9,
        )
    )
    assert asked is not None
    assert (asked.beta, asked.group, asked.seed, asked.sample, asked.warmup) == (1.0, "7", 3, 2, 4)
    assert asked.fusion == "subtraction"
    filters = asked.filters
    assert (filters.temperature, filters.min_p, filters.top_k, filters.top_p) == (0.7, 0.1, 20, 0.9)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"esamp_beta": "0.5"}, r"^esamp_beta must be a number in \[0, 1e\+06\], got '0.5'"),
        ({"esamp_beta": True}, r"^esamp_beta must be a number"),
        ({"esamp_beta": [0.5]}, r"^esamp_beta must be a number"),
        ({"esamp_beta": float("nan")}, r"^esamp_beta must be a finite number.*got nan"),
        ({"esamp_beta": -1}, r"^esamp_beta must be a finite number.*got -1"),
        ({"esamp_beta": 0.5, "esamp_top_k": 2.0}, r"^esamp_top_k must be an integer >= 1, got 2.0"),
        ({"esamp_beta": 0.5, "esamp_min_p": 2}, r"^esamp_min_p must be .*got 2"),
        ({"esamp_beta": 0.5, "esamp_top_p": "much"}, r"^esamp_top_p must be .*got 'much'"),
        ({"esamp_beta": 0.5, "esamp_seed": -1}, r"^esamp_seed must be an integer in"),
        ({"esamp_beta": 0.5, "esamp_warmup": 0}, r"^esamp_warmup must be .*got 0"),
        ({"esamp_beta": 0.5, "esamp_fusion": "beta_mx"}, r"^esamp_fusion must be one of .*did you mean 'beta_mix'"),
        ({"esamp_beta": 0.5, "esamp_fusion": "os.system"}, r"^esamp_fusion must be one of .*got 'os.system'"),
        ({"esamp_beta": 0.5, "esamp_group": [1]}, r"^esamp_group must be a text"),
        ({"esamp_beta": 0.5, "esamp_group": ""}, r"^esamp_group must be a text of 1 to 256 characters"),
        ({"esamp_beta": 0.5, "esamp_group": "x" * 257}, r"^esamp_group must be .*got one of 257; shorten it"),
        ({"esamp_group": "x"}, r"^esamp_group needs esamp_beta beside it"),
        ({"esamp_betta": 1}, r"got 'esamp_betta'; did you mean 'esamp_beta'"),
    ],
)
def test_what_is_wrong_is_told_by_the_name_it_was_sent_under(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse(params(wrong))


def test_a_native_parameter_is_told_by_its_own_name() -> None:
    with pytest.raises(ValueError, match=r"^temperature must be .*got 0"):
        parse(params({"esamp_beta": 0.5}, temperature=0))
    with pytest.raises(ValueError, match=r"^min_p and top_p must come as esamp_min_p and esamp_top_p"):
        parse(params({"esamp_beta": 0.5}, min_p=0.1, top_p=0.9))


@pytest.mark.parametrize("fusion", OFFERED)
def test_every_fusion_on_offer_can_be_asked_for(fusion: str) -> None:
    asked = parse(params({"esamp_beta": 0.5, "esamp_fusion": fusion}))
    assert asked is not None
    assert asked.fusion == fusion
