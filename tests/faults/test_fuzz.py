"""Anything as an argument, a study or a file of rows: it works, or an error of ours names what is wrong."""

from __future__ import annotations

import functools
import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esamp import ESampSampler
from esamp.cli.study_file import read_study
from esamp.distillers.start_file import read_start
from esamp.engines.vllm.requests import parse
from esamp.schedules import Linear, parse_value
from esamp.studies.evaluated import read_run
from esamp.studies.manifest import read_manifest
from esamp.studies.rows import arrow, read_rows, row_schema
from esamp.testing.models import tiny_model, tiny_tokenizer

_fixtures = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)

# What people pass by mistake: other types, the ends of ranges, what only looks like a number.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 4),
    st.sampled_from([10**30, -(2**63), 2**63, 1e308, -0.0, 1e-300]),
    st.floats(),
    st.text(max_size=4),
    st.binary(max_size=3),
    st.lists(st.integers(-2, 3) | st.text(max_size=2) | st.none(), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.sampled_from(
        [torch.zeros(2), torch.tensor(0.5), torch.ones(2, 2) * torch.nan, torch.zeros(0), Linear(1.0, 0.0, 3), print]
    ),
    st.sampled_from([object(), int, iter(()), range(3), 1j]),
)
# Of these the number says how much there is to do: what is right is small.
_SMALL = {"n": 3, "max_new_tokens": 4, "waves": 3}
_ARGUMENTS = (
    *("prompts", "n", "max_new_tokens", "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff"),
    *("eta_cutoff", "top_n_sigma", "filter_temperature", "seed", "beta", "waves", "state", "stop", "ignore_eos"),
    *("chat", "batch_size", "callbacks", "progress"),
)


@functools.cache
def sampler() -> ESampSampler:
    return ESampSampler(tiny_model(), tiny_tokenizer(chat_template=True))


def _small(name: str, value: Any) -> bool:
    most = _SMALL.get(name)
    values = value if isinstance(value, list) else [value]
    return most is None or not any(isinstance(each, int) and each > most for each in values)


@settings(max_examples=60, suppress_health_check=_fixtures)
@given(changes=st.dictionaries(st.sampled_from(_ARGUMENTS), ODD, min_size=1, max_size=2))
def test_generate_works_or_names_the_argument(changes: dict[str, Any], capsys: Any) -> None:
    changes = {name: value for name, value in changes.items() if _small(name, value)}
    arguments: dict[str, Any] = {"prompts": ["one two", "three"], "n": 2, "max_new_tokens": 3, **changes}
    try:
        result = sampler().generate(**arguments)
    except (ValueError, TypeError) as error:
        assert any(re.search(rf"\b{name}\b", str(error)) for name in changes), f"{changes}: {error!r}"
    else:
        for sample in (sample for samples in result.samples for sample in samples):
            assert bool(sample.log_probs.isfinite().all())


STUDY: dict[str, Any] = {
    "model": "smollm2-135m",
    "tasks": {"prompts": {"prompts": ["Hi", "Ho"], "limit": 1}},
    "n": 2,
    "seeds": [0, 1],
    "batch_size": 2,
    "temperatures": [0.7],
    "common": {"min_p": 0.05},
    "grid": {"distiller": ["mlp", {"class_path": "low_rank", "init_args": {"rank": 4}}], "beta": [0.25]},
    "arms": {"a": {"distiller": "frozen", "beta": "linear:0.5:0:4"}},
}
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["mlp", "1:2"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in _places(each, (*path, key)))]


def _changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(copy[path[0]], path[1:], new)
    return copy


@settings(max_examples=30, suppress_health_check=_fixtures)
@given(place=st.sampled_from(_places(STUDY)), new=PLAIN)
def test_a_study_is_read_or_refused(tmp_path: Path, place: tuple[Any, ...], new: Any) -> None:
    """One place of a study that is right holds anything else."""
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(_changed(STUDY, place, new)))
    try:
        read_study(str(tmp_path / "study.yaml"))
    except (ValueError, TypeError, FileNotFoundError) as error:
        assert len(str(error)) > 20, repr(error)


@settings(max_examples=40, suppress_health_check=_fixtures)
@given(text=st.text(max_size=40) | st.binary(max_size=40))
def test_text_that_is_no_study_is_refused(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    with pytest.raises((ValueError, TypeError)) as caught:
        read_study(str(file))
    assert re.search("study|key|tasks|arms", str(caught.value)), caught.value


@settings(max_examples=40)
@given(text=st.text(max_size=12) | st.from_regex(r"(linear|fire|only_first):[-0-9.:einf]*", fullmatch=True))
def test_a_schedule_is_one_or_is_refused_by_name(text: str) -> None:
    try:
        assert callable(parse_value("beta", text))
    except ValueError as error:
        assert str(error).startswith("beta must be a number or a schedule")


_EXTRAS = ("beta", "group", "sample", "seed", "warmup", "min_p", "top_k", "top_p", "typical_p", "nothing")


@settings(max_examples=60)
@given(changes=st.dictionaries(st.sampled_from(_EXTRAS), PLAIN, min_size=1, max_size=2))
def test_what_a_request_to_a_server_asks_for_is_taken_or_named(changes: dict[str, Any]) -> None:
    """`vllm_xargs` are what a client's JSON says; an error becomes its HTTP 400."""
    extra = {"esamp_beta": 0.5, **{f"esamp_{name}": value for name, value in changes.items()}}
    params = SimpleNamespace(extra_args=extra, min_p=0.0, top_p=1.0, top_k=-1, temperature=1.0)
    try:
        assert parse(params) is not None
    except (ValueError, TypeError) as error:
        assert any(re.search(rf"(\b|esamp_){name}\b", str(error)) for name in changes), f"{changes}: {error!r}"


@pytest.fixture(scope="module")
def rows() -> bytes:
    """A file of one row."""
    pa = arrow()
    example: dict[str, Any] = {"string": "a", "bool": True, "int64": 1, "int32": 1, "double": 1.0, "float": 1.0}
    row = {field.name: example.get(str(field.type), [1]) for field in row_schema()}
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(pa.Table.from_pylist([row], schema=row_schema()), sink)
    return sink.getvalue().to_pybytes()


def _run(folder: Path, content: bytes) -> Path:
    (folder / "rows").mkdir(exist_ok=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "rows" / "a.parquet").write_bytes(content)
    return folder


@settings(max_examples=60, suppress_health_check=_fixtures)
@given(seed=st.integers(0, 10**6), cut=st.booleans(), changes=st.integers(1, 20))
def test_a_damaged_file_of_rows_is_named_or_read(
    tmp_path: Path, rows: bytes, seed: int, cut: bool, changes: int
) -> None:
    chance, content = random.Random(seed), bytearray(rows)
    for _ in range(changes):
        content[chance.randrange(len(content))] = chance.randrange(256)
    folder = _run(tmp_path, bytes(content[: chance.randrange(len(content))] if cut else content))
    for read in (read_rows, read_run):
        try:
            read(folder)
        except ValueError as error:
            assert "a.parquet" in str(error) or "holds no" in str(error), repr(error)


@settings(max_examples=20, suppress_health_check=_fixtures)
@given(dropped=st.sampled_from(row_schema().names), kind=st.sampled_from(["gone", "text", "number", "nested"]))
def test_rows_of_other_columns_are_named(tmp_path: Path, rows: bytes, dropped: str, kind: str) -> None:
    pa = arrow()
    table = pa.parquet.read_table(pa.BufferReader(rows))
    place = table.schema.get_field_index(dropped)
    new = {"text": pa.array(["x"]), "number": pa.array([1.5]), "nested": pa.array([{"a": 1}])}
    table = table.drop_columns([dropped]) if kind == "gone" else table.set_column(place, dropped, new[kind])
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink)
    folder = _run(tmp_path, sink.getvalue().to_pybytes())
    for read in (read_rows, read_run):
        try:
            read(folder)
        except ValueError as error:
            assert dropped in str(error) or "a.parquet" in str(error), repr(error)


@settings(max_examples=30, suppress_health_check=_fixtures)
@given(
    content=st.binary(max_size=60)
    | st.builds(lambda n, b: n.to_bytes(8, "little") + b, st.integers(0, 50), st.binary())
)
def test_files_that_are_none_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="start must be a safetensors file"):
        read_start(file)
    with pytest.raises(ValueError, match=r"manifest must be the manifest\.json of a run"):
        read_manifest(file)
