"""
Judge one tool call: may the agent do this?

The first rules: git only for reading, no migration and no change to a database, no deletion of project files, no write
outside the working tree.  Each denial says what is forbidden and what to do instead.  What cannot be read is denied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrd.policy.database import judge_database
from orchestrd.policy.files import OUTSIDE, judge_deletion, judge_writing
from orchestrd.policy.shell import commands
from orchestrd.policy.verdict import ALLOW, Scope, Verdict, deny
from orchestrd.policy.versions import judge_versions

_WRITING_TOOLS = {"Write": "file_path", "Edit": "file_path", "MultiEdit": "file_path", "NotebookEdit": "notebook_path"}
_WORKTREE_TOOLS = frozenset({"EnterWorktree", "ExitWorktree"})
_RULES = (judge_versions, judge_database, judge_deletion, judge_writing)


def judge(tool: str, arguments: dict[str, Any], scope: Scope, cwd: str | None = None) -> Verdict:
    """
    The verdict on a call of *tool* with *arguments* by an agent that stands in *cwd* (the tree by default).
    """
    here = cwd or scope.tree
    if tool in _WRITING_TOOLS:
        path = arguments.get(_WRITING_TOOLS[tool])
        if not isinstance(path, str) or not path:
            return ALLOW  # the tool itself refuses a call without a path
        if not scope.writable(path, here):
            return deny("outside", f"{path} is outside the working tree. {OUTSIDE}", path)
        return ALLOW
    if tool in _WORKTREE_TOOLS:
        return deny("git", "You already work in a worktree of your own; stay in it.", tool)
    if tool in {"Bash", "Monitor"}:
        command = arguments.get("command")
        return judge_command(command, scope, here) if isinstance(command, str) else ALLOW
    return ALLOW


def judge_command(text: str, scope: Scope, cwd: str) -> Verdict:
    """
    The verdict on a shell command line.
    """
    try:
        found = commands(text)
    except (ValueError, RecursionError) as error:
        return deny("exec-unknown", f"The command line could not be read ({error}); write it more simply.", text)
    for command in found:
        for judging in _RULES:
            verdict = judging(command, scope, cwd)
            if verdict is not None:
                return verdict
    return ALLOW


Judge = Callable[[str, dict[str, Any], str | None], Verdict]
"""``(tool, arguments, cwd) -> Verdict`` with the scope already known."""
