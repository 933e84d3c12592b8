"""
Where an agent may go.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from orchestrd.config import CONFIG_FILE, PRICES_FILE, TEXT_FILES
from orchestrd.policy.scope import Scope
from orchestrd.rulebook import RULES_FILE, Rulebook
from orchestrd.runner.sight import Sight
from orchestrd.runner.transcripts import config_dir
from orchestrd.storage.home import Home
from orchestrd.workspace import entries
from orchestrd.workspace.gitstate import Places
from orchestrd.workspace.repository import Repository

NOTHING = Rulebook()
"""A person who says nothing beyond the rules."""
MAX_QUESTION_FILES = 50
"""Question files that an agent may write for one task."""


def scope_of(
    home: Home, task: str, tree: str, env: Mapping[str, str], book: Rulebook = NOTHING, *, contained: bool = False
) -> Scope:
    """
    Where an agent on *task* (full name) in *tree* may go, with the environment *env*: it may write its tree, its workspace and
    its question files, and read what its own CLI has put aside for it, long outputs of its tools (Claude Code 2.1.330); and what
    the person's *book* says beyond that.  *contained*: a sandbox keeps it there.
    """
    settings = (CONFIG_FILE, PRICES_FILE, RULES_FILE, *(f"config/{name}" for name in TEXT_FILES))
    files = [str(home.question_file(task, number)) for number in range(1, MAX_QUESTION_FILES + 1)]
    # In a sandbox it is a folder of the agent's own.
    temporary = ("/tmp",) if contained else ()  # noqa: S108
    return Scope(
        tree=tree,
        scratch=(str(home.workspace(task)), *files, *temporary),
        readable=(str(config_dir(env) / "projects"), f"/tmp/claude-{os.getuid()}", *book.readable),  # noqa: S108
        home=env.get("HOME", "/nonexistent"),
        guarded=(str(home.var), *(str(home.root / name) for name in settings), str(config_dir(env))),
        contained=contained,
        lent=book.writable,
        amendments=book.of(task),
    )


def sight_of(repo: Repository, tree: Path) -> Sight | None:
    """
    What git keeps for an agent's *tree*, and for the person's project, to be watched; None for a tree that is no worktree.  Blocks.
    """
    oid = 32 if repo.project.object_format == "sha256" else 20
    project = Places(entry=repo.project.private, common=repo.project.common, ours=False, oid=oid)
    if entries.real(tree) == repo.project.path:
        git = tree / ".git"
        pointer = None if git.is_dir() and not git.is_symlink() else git
        here = Places(entry=repo.project.private, common=repo.project.common, pointer=pointer, ours=False, oid=oid)
        return Sight(tree=here, root=tree)
    entry = entries.entry_of(repo.path, tree)
    if entry is None:
        return None
    own = Places(entry=entry, common=repo.path, pointer=tree / ".git", oid=oid)
    return Sight(tree=own, root=tree, project=project, folder=str(repo.project.path), own=str(tree.parent))
