"""A text of a few words, for fits that take a moment."""

from __future__ import annotations

import random

_SENTENCE = "the keeper of the light walked down to the shore and found a bottle with a letter in it"

TEXT = " ".join(random.Random(0).choices(_SENTENCE.split(), k=400))
