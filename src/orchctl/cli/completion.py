"""
Task names for the shell's completion, if a daemon answers at once; never an error.
"""

from __future__ import annotations

from orchctl.invocation import Invocation
from orchestrd.errors import OrchestrdError
from orchestrd.protocol import api

PATIENCE_SECONDS = 0.5


def task_names(invocation: Invocation) -> list[tuple[str, str]]:
    """
    Pairs of id and name of the newest day's tasks.
    """
    try:
        client = invocation.client()
        status: api.Status = client.call("task.status", api.StatusQuery(), timeout=PATIENCE_SECONDS)
    except (OrchestrdError, OSError):
        return []
    client.close()
    return [(task.id, f"{task.state}: {task.name}") for task in status.tasks]
