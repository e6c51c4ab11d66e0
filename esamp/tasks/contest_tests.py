"""LiveCodeBench's test cases: JSON, plain or packed."""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

__all__ = ["ContestTest", "packed_json", "read_tests"]

# What surrounds one text in a pickle. Nothing is unpickled: the opcodes are read, as a disassembler does.
_AROUND = {"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "STOP"}
_TEXT = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"}
_UNPACKED_BYTES = 1 << 30


@dataclass(frozen=True)
class ContestTest:
    """One test of a program.

    Attributes:
        given: what it reads: a whole input, or one JSON value a line for the arguments of a function.
        wanted: what it must print, or the JSON value that the function must return.
    """

    given: str
    wanted: str


def read_tests(text: str) -> list[ContestTest]:
    """Test cases from a field of the data set: a JSON list, or that in a packed form.

    Raises:
        ValueError: it is neither.
    """
    try:
        loaded: Any = json.loads(text if text.lstrip().startswith("[") else packed_json(text))
        return [ContestTest(str(case["input"]), str(case["output"])) for case in cast(list[Any], loaded)]
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise ValueError(f"no JSON list of objects with 'input' and 'output': {error}") from error


@lru_cache(maxsize=2)
def packed_json(packed: str) -> str:
    """The text in base64 of a zlib stream of a pickle of one text. A pickle of anything else is refused, not loaded.

    Raises:
        ValueError: it is not that, or unpacks to more than a gigabyte.
    """
    try:
        unpacking = zlib.decompressobj()
        pickled = unpacking.decompress(base64.b64decode(packed, validate=True), _UNPACKED_BYTES)
        if not unpacking.eof:
            raise ValueError("the packed tests are cut off, or larger than a gigabyte")
        found = [(opcode.name, argument) for opcode, argument, _ in pickletools.genops(pickled)]
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"neither JSON nor base64 of a zlib stream: {error}") from error
    texts = [argument for name, argument in found if name in _TEXT]
    others = sorted({name for name, _ in found} - _AROUND - _TEXT)
    if others or len(texts) != 1:
        raise ValueError(
            f"packed tests must be one text, and nothing else is read; got {', '.join(others) or len(texts)}"
        )
    return str(texts[0])
