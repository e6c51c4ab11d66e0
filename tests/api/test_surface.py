"""What users may rely on: a change of the public surface is seen, and is meant."""

from __future__ import annotations

import difflib

from tests.api.surface import SNAPSHOT, surface


def test_the_public_surface_is_the_recorded_one() -> None:
    recorded, found = (text.splitlines() for text in (SNAPSHOT.read_text(), surface()))
    changed = [line for line in difflib.ndiff(recorded, found) if line[0] in "+-"]
    assert not changed, (
        "the public surface changed; if it is meant, `make api` and a line in CHANGELOG.md:\n" + "\n".join(changed)
    )
