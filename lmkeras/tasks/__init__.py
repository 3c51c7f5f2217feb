"""Tasks: what is asked of a text, one file for each task."""

from lmkeras.tasks.registry import register_task, task_of, tasks

__all__ = ["register_task", "task_of", "tasks"]
