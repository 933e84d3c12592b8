"""
Judge one tool call: may the agent do this?
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrd.policy.inquiry import REASONS, Inquiry
from orchestrd.policy.programs.registry import HANDLERS
from orchestrd.policy.scope import Files, NoFiles, Scope
from orchestrd.policy.shell.marks import cleaned
from orchestrd.policy.shell.nodes import Unreadable
from orchestrd.policy.verdict import ALLOW, Verdict, deny

_MAX_COMMAND = 400_000
_NO_FILES = NoFiles()


def judge_command(text: str, scope: Scope, cwd: str, files: Files = _NO_FILES) -> Verdict:
    """
    The verdict on a shell command line: of several objections, the first that is no mere "cannot be read".
    """
    if len(text) > _MAX_COMMAND:
        return deny("exec-unknown", f"The command line is too long to follow. {REASONS['exec-unknown']}", text)
    inquiry = Inquiry(scope, cwd, files, HANDLERS)
    try:
        inquiry.text_here(cleaned(text), None)
    except (Unreadable, RecursionError) as error:
        why = str(error) if isinstance(error, Unreadable) else "nested too deeply"
        inquiry.found.append(
            deny("exec-unknown", f"The command line could not be read ({why}). {REASONS['exec-unknown']}", text)
        )
    if not inquiry.found:
        return ALLOW
    return next((one for one in inquiry.found if one.rule != "exec-unknown"), inquiry.found[0])


Judge = Callable[[str, dict[str, Any], str | None], Verdict]
"""``(tool, arguments, cwd) -> Verdict`` with the scope already known."""
