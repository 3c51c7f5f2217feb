"""Networks by their bodies' names, as a model's recipe makes them, without training."""

from lmkeras.networks import registry
from lmkeras.networks.network import Network
from lmkeras.tasks.base import Task


def built(name: str, task: Task, **sizes) -> Network:
    """A network for a task, with fresh weights; the task's labels or the like say how large its head is."""
    body = registry.new_body(name, task.bodies, **sizes)
    return Network(body, task.head(body))
