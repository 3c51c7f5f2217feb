"""Tasks: what models do with texts, such as continuing or classifying them; one file for each task."""

from lmkeras.tasks.registry import OWN_KINDS, register_task, task_of, tasks

__all__ = ["OWN_KINDS", "register_task", "task_of", "tasks"]
