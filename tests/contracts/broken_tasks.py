"""Tasks that break one promise each. `Sound` is what they would be without the mistake."""

from __future__ import annotations

import itertools

from esamp.tasks import Problem, Task, Verdict


class Sound(Task):
    """Which number is meant?"""

    def problems(self) -> list[Problem]:
        return [Problem(str(n), f"Say {n}.", [str(n)]) for n in (42, 40, 41, 43)]

    def verify(self, problem: Problem, text: str) -> Verdict:
        said = text.strip()
        return Verdict(said in problem.reference, said or None)


class GivesIdsTwice(Sound):
    def problems(self) -> list[Problem]:
        return [Problem("one", problem.prompt, problem.reference) for problem in super().problems()]


class AsksOtherwiseEachTime(Sound):
    times = itertools.count()

    def problems(self) -> list[Problem]:
        time = next(self.times)
        return [Problem(problem.id, f"{problem.prompt} ({time})", problem.reference) for problem in super().problems()]


class AsksNothing(Sound):
    def problems(self) -> list[Problem]:
        return [Problem(problem.id, "", problem.reference) for problem in super().problems()]


class ReadsNumbersOnly(Sound):
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict(int(text) == int(problem.reference[0]), text)


class RemembersWhatWasSaid(Sound):
    def __init__(self) -> None:
        self.said: set[str] = set()

    def verify(self, problem: Problem, text: str) -> Verdict:
        known = text in self.said
        self.said.add(text)
        return Verdict(super().verify(problem, text).correct, text.strip() or None, "again" if known else "")


class TakesNotes(Sound):
    def verify(self, problem: Problem, text: str) -> Verdict:
        verdict = super().verify(problem, text)
        problem.reference.append("")
        return verdict


class RightWithoutAnswer(Sound):
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict(super().verify(problem, text).correct)


class LikesSilence(Sound):
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict(True, "silence") if not text.strip() else super().verify(problem, text)


BROKEN = {
    GivesIdsTwice: "an id of its own",
    AsksOtherwiseEachTime: "one that a sampler takes",
    AsksNothing: "one that a sampler takes",
    ReadsNumbersOnly: "makes verify raise",
    RemembersWhatWasSaid: "follows from the problem",
    TakesNotes: "leaves the problem",
    RightWithoutAnswer: "a right sample has one",
    LikesSilence: "a blank sample",
}
