"""
Calls of tools that are no command line: files, addresses, other agents; what is no known tool is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.servers import judge_server
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import cleaned, shown
from orchestrd.policy.shell.substrings import braces

WRITING = {"Write": "file_path", "Edit": "file_path", "MultiEdit": "file_path", "NotebookEdit": "notebook_path"}
"""Tools that write a file → the argument that names it.  (Claude Code 2.1.330)"""
READING = {"Read": "file_path", "NotebookRead": "notebook_path", "Grep": "path", "Glob": "path", "LS": "path"}
"""Tools that read a file or a folder → the argument that names it."""
_EDITING = frozenset({"Edit", "MultiEdit"})
_SHOWS_NAMES = frozenset({"Glob", "LS"})
WORKTREES = frozenset({"EnterWorktree", "ExitWorktree"})
SCHEDULES = frozenset({"CronCreate", "RemoteTrigger", "ScheduleWakeup"})
"""Nobody is there when it is due: a run is over when its agent rests."""
WORKFLOWS = frozenset({"Workflow"})
"""A program that starts agents of its own, in worktrees of their own if it likes: the text of its calls cannot be followed."""
AGENTS = frozenset({"Agent", "Task"})

HARMLESS = frozenset(
    {
        "AgentOutputTool", "AskUserQuestion", "BashOutput", "CronDelete", "CronList", "EnterPlanMode", "ExitPlanMode", "KillBash",
        "KillShell", "LSP", "ListAgents", "ListMcpResourcesTool", "ReadMcpResourceTool", "ReportFindings", "SendMessage",
        "Skill", "SlashCommand", "StructuredOutput", "TaskCreate", "TaskGet", "TaskList", "TaskOutput", "TaskStop", "TaskUpdate",
        "TodoRead", "TodoWrite", "ToolSearch", "WebSearch",
    }
)  # fmt: skip
"""Tools that neither run, write nor read anything by what they are told.  (Claude Code 2.1.330 and before)"""


def judge_call(inquiry: Inquiry, tool: str, arguments: Mapping[str, Any], cwd: str) -> None:
    """
    Object to a call of *tool* where its arguments name what may not be touched.
    """
    call = Invocation(argv=(tool,), cwd=(cwd,))
    if tool in WRITING:
        _write(inquiry, call, tool, arguments)
    elif tool in READING:
        _read(inquiry, call, tool, arguments)
    elif tool in WORKTREES:
        inquiry.object("git", call, "you already work in a worktree of your own; stay in it")
    elif tool in SCHEDULES:
        inquiry.object("exec-unknown", call, "something would be run later, when nobody looks")
    elif tool in WORKFLOWS:
        inquiry.object(
            "exec-unknown", call, "a workflow is a program that nobody can follow; start the agents that you need"
        )
    elif tool in AGENTS:
        mode = str(arguments.get("mode") or arguments.get("permission_mode") or "")
        if "bypass" in mode.lower() or arguments.get("isolation"):
            inquiry.object("exec-unknown", call, "a subagent works under the same rules, in the same tree")
    elif tool == "WebFetch":
        _fetch(inquiry, call, arguments)
    elif tool.startswith("mcp__"):
        judge_server(inquiry, call, tool, arguments)
    elif tool not in HARMLESS:
        inquiry.object("exec-unknown", call, f"what the tool `{shown(tool)}` does is not known; use another")


def _write(inquiry: Inquiry, call: Invocation, tool: str, arguments: Mapping[str, Any]) -> None:
    path = arguments.get(WRITING[tool])
    if not isinstance(path, str) or not path:
        return  # the tool itself refuses a call without a path
    if tool in _EDITING:
        inquiry.use(cleaned(path), call)
    inquiry.use(cleaned(path), call, writes=True)


def _read(inquiry: Inquiry, call: Invocation, tool: str, arguments: Mapping[str, Any]) -> None:
    path = arguments.get(READING[tool])
    if isinstance(path, str):
        inquiry.use(cleaned(path), call, only_looks=tool in _SHOWS_NAMES)
    pattern = arguments.get("pattern") if tool == "Glob" else arguments.get("glob") if tool == "Grep" else None
    for one in braces(cleaned(pattern)) if isinstance(pattern, str) else ():
        if one.startswith(("/", "~")) or ".." in one.split("/"):
            inquiry.use(one, call, only_looks=True)
        if tool == "Grep":
            inquiry.use(one.rsplit("/", 1)[-1], call)


def _fetch(inquiry: Inquiry, call: Invocation, arguments: Mapping[str, Any]) -> None:
    """
    An address is read as ``curl`` would.
    """
    url = arguments.get("url")
    if isinstance(url, str):
        inquiry.argv(call, ("curl", cleaned(url)))
