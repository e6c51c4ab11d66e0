"""The process that compares mathematical answers: one JSON object a line in, one a line out.

Started as a script by `esamp.tasks.mathematics`, with math-verify alone. Its caller kills it when an expression takes
too long, so that math-verify's own alarms, which work in a main thread only, are off.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

import math_verify

_MEMORY = 4 << 30


def _main() -> None:
    # What a library prints must not stand between our lines.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    print("{}", file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(_compare(**json.loads(line))), file=replies, flush=True)


def _compare(gold: str, answer: str) -> dict[str, Any]:
    try:
        wanted, found = _parse(gold), _parse(answer)
        equal = math_verify.verify(wanted, found, timeout_seconds=None)
        return {"correct": equal, "normal": str(found[0]) if found else None}
    except (Exception, RecursionError) as error:
        return {"correct": False, "normal": None, "detail": f"cannot be compared: {type(error).__name__}"}


def _parse(answer: str) -> list[Any]:
    # None is understood, whatever the annotation says.
    return math_verify.parse(f"\\boxed{{{answer}}}", parsing_timeout=None)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    _main()
