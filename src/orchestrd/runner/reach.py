"""
Where an agent may go, and what its judge may see there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from orchestrd.policy.scope import Scope
from orchestrd.runner.transcripts import config_dir
from orchestrd.storage.home import Home
from orchestrd.storage.regular import read_regular

MAX_QUESTION_FILES = 50
"""Question files that an agent may write for one task."""
MAX_SCRIPT_BYTES = 200_000
"""Larger scripts of the tree are not followed."""


def scope_of(home: Home, task: str, tree: str, env: Mapping[str, str]) -> Scope:
    """
    Where an agent on *task* (full name) in *tree* may go, with the environment *env*: it may write its tree, its workspace and
    its question files, and read what its own CLI has put aside for it, long outputs of its tools (Claude Code 2.1.330).
    """
    files = [str(home.question_file(task, number)) for number in range(1, MAX_QUESTION_FILES + 1)]
    return Scope(
        tree=tree,
        scratch=(str(home.workspace(task)), *files),
        readable=(str(config_dir(env) / "projects"), f"/tmp/claude-{os.getuid()}"),  # noqa: S108
        home=env.get("HOME", "/nonexistent"),
    )


class TreeFiles:
    """
    The files of an agent's tree and scratch, as its judge sees them: regular ones, up to a size.
    """

    def read(self, path: str) -> str | None:
        """
        The text of the file at *path*, or None where there is none that can be read whole.
        """
        try:
            found = read_regular(Path(path), MAX_SCRIPT_BYTES + 1)
        except (OSError, ValueError):
            return None
        return found.decode(errors="replace") if len(found) <= MAX_SCRIPT_BYTES else None

    def resolve(self, path: str) -> str:
        """
        *path* with every symbolic link followed.
        """
        try:
            return os.path.realpath(path)
        except (OSError, ValueError):
            return path
