"""Tasks: problems with verifiers, to measure coverage on."""

from esamp.tasks.base import Problem, Task, Verdict, tasks
from esamp.tasks.prompts import PromptsTask

__all__ = ["Problem", "PromptsTask", "Task", "Verdict", "tasks"]
