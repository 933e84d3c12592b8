"""
Judge one tool call: may the agent do this?

A command line is followed to every program that it would run (`inquiry`), another tool's arguments to what they name
(`calls`).  What cannot be followed is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from orchestrd.policy.calls import judge_call
from orchestrd.policy.inquiry import REASONS, Inquiry
from orchestrd.policy.programs.registry import HANDLERS
from orchestrd.policy.required import required
from orchestrd.policy.scope import Files, NoFiles, Scope
from orchestrd.policy.shell.marks import cleaned
from orchestrd.policy.shell.nodes import Unreadable
from orchestrd.policy.verdict import ALLOW, COMMAND_TOOLS, Verdict, deny, digest

MAX_COMMAND = 400_000
"""A longer command line (characters) is refused unread."""
_NO_FILES = NoFiles()

Judge = Callable[[str, dict[str, Any], str | None, str | None], Verdict]
"""``(tool, arguments, cwd, call) -> Verdict``, *call* the tool call's id, with the scope already known."""


def judge(
    tool: str, arguments: Mapping[str, Any], scope: Scope, cwd: str | None = None, files: Files = _NO_FILES
) -> Verdict:
    """
    The verdict on a call of *tool* with *arguments* by an agent that stands in *cwd* (the tree by default).
    """
    inquiry = Inquiry(scope, cwd or scope.tree, files, HANDLERS)
    return _strongest(_objections(inquiry, tool, arguments, cwd or scope.tree), inquiry)


def judge_command(text: str, scope: Scope, cwd: str, files: Files = _NO_FILES) -> Verdict:
    """
    The verdict on a shell command line, run in *cwd*.
    """
    return judge("Bash", {"command": text}, scope, cwd, files)


def objections(
    tool: str, arguments: Mapping[str, Any], scope: Scope, cwd: str | None = None, files: Files = _NO_FILES
) -> list[Verdict]:
    """
    Everything that is objected to in a call, as for `judge`, in the order in which it would happen.
    """
    here = cwd or scope.tree
    return _objections(Inquiry(scope, here, files, HANDLERS), tool, arguments, here)


def lets_pass(command: str, scope: Scope, cwd: str, files: Files = _NO_FILES) -> bool:
    """
    True when a line of the person's allows some program that a shell command line runs.
    """
    inquiry = Inquiry(scope, cwd, files, HANDLERS)
    _in_command(inquiry, command)
    return inquiry.let_pass


def _objections(inquiry: Inquiry, tool: str, arguments: Mapping[str, Any], here: str) -> list[Verdict]:
    if tool in COMMAND_TOOLS:
        command = arguments.get("command")
        # Without one the tool itself refuses.
        return _in_command(inquiry, command) if isinstance(command, str) else []
    said = inquiry.scope.amendments.call(tool, arguments, inquiry.scope.tree, here)
    if said is not None and said.decision == "deny":
        return [said]

    def follow() -> None:
        if said is None:
            judge_call(inquiry, tool, arguments, here)
            return
        with inquiry.excused(said):
            judge_call(inquiry, tool, arguments, here)

    return _found(inquiry, follow, tool)


def _in_command(inquiry: Inquiry, text: str) -> list[Verdict]:
    if len(text) > MAX_COMMAND:
        return [deny("exec-unknown", f"The command line is too long to follow. {REASONS['exec-unknown']}", text)]
    return _found(inquiry, lambda: inquiry.text(cleaned(text)), text)


def _found(inquiry: Inquiry, follow: Callable[[], object], target: str) -> list[Verdict]:
    try:
        follow()
    except (Unreadable, RecursionError) as error:
        why = str(error) if isinstance(error, Unreadable) else "nested too deeply"
        reason = f"It could not be read ({why}). {REASONS['exec-unknown']}"
        inquiry.found.append(deny("exec-unknown", reason, cleaned(target)))
    return inquiry.found


def _strongest(found: list[Verdict], inquiry: Inquiry) -> Verdict:
    """
    Of several objections, the first that is no mere "cannot be read"; a person is only asked where nothing is denied.  What is
    fixed stays so whichever is named: who allows the call allows all that it does, and what the *inquiry* read in files as they are now.
    """
    if not found:
        return ALLOW
    named = min(found, key=_weakness)
    texts = [f"{path}\0{text}" for path, text in (*inquiry.read.items(), *required(inquiry))]
    return replace(named, fixed=any(one.fixed for one in found), followed=digest(texts))


def _weakness(verdict: Verdict) -> int:
    return 2 if verdict.decision == "ask" else int(verdict.rule == "exec-unknown")
