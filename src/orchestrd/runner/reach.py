"""
Where an agent may go.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrd.config import CONFIG_FILE, PRICES_FILE, TEXT_FILES
from orchestrd.policy.scope import Scope
from orchestrd.rulebook import RULES_FILE, Rulebook
from orchestrd.runner.transcripts import config_dir
from orchestrd.storage.home import Home

NOTHING = Rulebook()
"""A person who says nothing beyond the rules."""
MAX_QUESTION_FILES = 50
"""Question files that an agent may write for one task."""


def scope_of(home: Home, task: str, tree: str, env: Mapping[str, str], book: Rulebook = NOTHING) -> Scope:
    """
    Where an agent on *task* (full name) in *tree* may go, with the environment *env*: it may write its tree, its workspace and
    its question files, and read what its own CLI has put aside for it, long outputs of its tools (Claude Code 2.1.330); and what
    the person's *book* says beyond that.
    """
    settings = (CONFIG_FILE, PRICES_FILE, RULES_FILE, *(f"config/{name}" for name in TEXT_FILES))
    files = [str(home.question_file(task, number)) for number in range(1, MAX_QUESTION_FILES + 1)]
    return Scope(
        tree=tree,
        scratch=(str(home.workspace(task)), *files),
        readable=(str(config_dir(env) / "projects"), f"/tmp/claude-{os.getuid()}", *book.readable),  # noqa: S108
        home=env.get("HOME", "/nonexistent"),
        guarded=(str(home.var), *(str(home.root / name) for name in settings), str(config_dir(env))),
        lent=book.writable,
        amendments=book.of(task),
    )
