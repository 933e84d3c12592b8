"""
Where an agent may write.
"""

from __future__ import annotations

from orchestrd.policy.verdict import Scope
from orchestrd.storage.home import Home

MAX_QUESTION_FILES = 50
"""Question files that an agent may write for one task."""


def scope_of(home: Home, task: str, tree: str) -> Scope:
    """
    What an agent on *task* (full name) in *tree* may write: its tree, its workspace, and its question files.
    """
    files = [str(home.question_file(task, number)) for number in range(1, MAX_QUESTION_FILES + 1)]
    return Scope(tree=tree, scratch=(str(home.workspace(task)), *files))
