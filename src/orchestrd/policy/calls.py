"""
Calls of tools that are no command line: files, addresses, other agents, servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchestrd.policy.code.sql import only_reads
from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import cleaned

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

_COMMANDS = frozenset({"command", "cmd", "script", "shell", "bash", "code"})
_PATHS = re.compile(
    r"(?:^|_)(?:path|paths|file|files|filename|filepath|directory|dir|folder|cwd|uri|source|destination|target)$",
    re.IGNORECASE,
)
_QUERIES = frozenset({"sql", "query", "statement"})
_FORGES = re.compile(
    r"(?:^|_)(?:git|github|gitlab|bitbucket|gitea|forgejo|azure_?devops|jj|hg|svn)(?:_|$|-)", re.IGNORECASE
)
_DATABASES = re.compile(
    r"sql|postgres|mongo|redis|database|supabase|neon|(?:^|_)db(?:_|$)|prisma|dynamo|elastic", re.IGNORECASE
)
_CHANGES = re.compile(
    r"(?:^|_)(?:add|apply|close|commit|create|delete|drop|edit|fork|insert|merge|migrate|move|pull(?!_requests?)|push|rebase|remove|rename|reply|reset|"
    r"restore|revert|run|set|stage|submit|switch|checkout|tag|update|upload|upsert|write|execute|init|clone|stash|publish|deploy)(?:_|$)",
    re.IGNORECASE,
)


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
        _server(inquiry, call, tool, arguments)


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
    if isinstance(pattern, str):
        if pattern.startswith(("/", "~", "..")):
            inquiry.use(cleaned(pattern), call, only_looks=True)
        if tool == "Grep":
            inquiry.use(cleaned(pattern).rsplit("/", 1)[-1], call)


def _fetch(inquiry: Inquiry, call: Invocation, arguments: Mapping[str, Any]) -> None:
    """
    An address is read as ``curl`` would.
    """
    url = arguments.get("url")
    if isinstance(url, str):
        inquiry.argv(call, ("curl", cleaned(url)))


def _server(inquiry: Inquiry, call: Invocation, tool: str, arguments: Mapping[str, Any]) -> None:
    """
    A tool of an MCP server, of which only its name and its arguments tell what it does.
    """
    _, _, rest = tool.partition("__")
    server, _, name = rest.partition("__")
    changes = _CHANGES.search(name)
    if changes and (_FORGES.search(server) or _FORGES.search(name)):
        inquiry.object("git", call, f"`{tool}` changes a repository")
    elif changes and _DATABASES.search(server) and not any(isinstance(arguments.get(key), str) for key in _QUERIES):
        inquiry.object("db", call, f"`{tool}` may change a database")
    for key, value in _strings(arguments):
        if key in _COMMANDS:
            inquiry.text(cleaned(value))
        elif key in _QUERIES and (_DATABASES.search(server) or _DATABASES.search(name)):
            if not only_reads(value):
                inquiry.object("db", call, "its SQL changes a database, or cannot be seen to only read it")
        elif _PATHS.search(key) and "://" not in value.removeprefix("file://"):
            inquiry.use(cleaned(value.removeprefix("file://")), call)
            inquiry.use(cleaned(value.removeprefix("file://")), call, writes=bool(changes))


def _strings(arguments: Mapping[str, Any], depth: int = 0) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in arguments.items():
        if isinstance(value, str):
            found.append((key, value))
        elif isinstance(value, list):
            found += [(key, one) for one in value if isinstance(one, str)]
        elif isinstance(value, Mapping) and depth < 4:
            found += _strings(value, depth + 1)
    return found
