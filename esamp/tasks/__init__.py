"""Tasks: problems with verifiers, to measure coverage on."""

from esamp.tasks.base import Problem, Task, Verdict, tasks

__all__ = ["Problem", "Task", "Verdict", "tasks"]
