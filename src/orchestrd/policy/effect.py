"""
What a tool call may do to the files of a tree, told from the call alone.

It is told on the safe side: a command line only reads where every program in it is known to, and nothing in it leads elsewhere;
any other may delete or overwrite.  What is wrongly held to be dangerous costs a snapshot, which takes no longer than git needs to
look at the tree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from orchestrd.policy.calls import AGENTS, READING


class Effect(StrEnum):
    """
    *READS*: nothing changes.  *WRITES*: one file is written, in place of what the agent has read of it.  *DESTROYS*: anything may
    be deleted or overwritten.
    """

    READS = "reads"
    WRITES = "writes"
    DESTROYS = "destroys"


_READS = (
    frozenset(READING)
    | AGENTS
    | {
        "AskUserQuestion",
        "BashOutput",
        "ExitPlanMode",
        "ListMcpResources",
        "ReadMcpResource",
        "Skill",
        "TaskCreate",
        "TaskGet",
        "TaskList",
        "TaskOutput",
        "TaskUpdate",
        "TodoWrite",
        "ToolSearch",
        "WebFetch",
        "WebSearch",
    }
)
"""Tools that change no file of a tree.  What a subagent does are calls of its own.  (Claude Code 2.1.330)"""
_WRITES = frozenset({"Edit", "MultiEdit", "Write"})
"""The CLI has an agent read a file before it is replaced, so what it held is in the stream.  (Claude Code 2.1.330)"""
_READERS = frozenset(
    [
        "basename",
        "cat",
        "cmp",
        "cut",
        "date",
        "diff",
        "dirname",
        "df",
        "du",
        "echo",
        "egrep",
        "false",
        "fgrep",
        "file",
        "grep",
        "head",
        "id",
        "jq",
        "ls",
        "nl",
        "od",
        "printf",
        "pwd",
        "readlink",
        "realpath",
        "rg",
        "sleep",
        "stat",
        "tail",
        "test",
        "tr",
        "true",
        "type",
        "uname",
        "wc",
        "which",
        "whoami",
        "[",
    ]
)
_ARMED = frozenset({"file", "find", "git", "rg"})
"""Readers with options by which they write or run something: what is in a variable may be one."""
_GIT_READERS = frozenset({"blame", "diff", "log", "ls-files", "rev-parse", "show", "status"})
_FIND_ACTS = ("-delete", "-exec", "-ok", "-fprint", "-fls")
_LEADS_ELSEWHERE = re.compile(r"[`(){}<>\\]|--output|--pre\b|--hostname-bin|(?:^|\s)-[A-Za-z]*[oCs]\b")
"""Substitutions, groups, redirections, escapes, and options by which some of `_READERS` write, run something or set something."""
_HARMLESS = re.compile(r"\b2>&1|\d?>\s?/dev/null\b")
_QUOTES = re.compile(r"['\"]")
_SEPARATOR = re.compile(r"[;&|\n]+")
MAX_LENGTH = 2000
"""A longer command line is not looked at."""


def effect_of(tool: str, arguments: Mapping[str, Any]) -> Effect:
    """
    What a call of *tool* with *arguments* may do.
    """
    if tool in _READS:
        return Effect.READS
    if tool in _WRITES:
        return Effect.WRITES
    command = arguments.get("command")
    if tool == "Bash" and isinstance(command, str) and _only_reads(command):
        return Effect.READS
    return Effect.DESTROYS


def _only_reads(command: str) -> bool:
    if len(command) > MAX_LENGTH:
        return False
    # Without its quotes a word may be an option that it does not look like.
    text = _HARMLESS.sub(" ", _QUOTES.sub("", command))
    return _LEADS_ELSEWHERE.search(text) is None and all(map(_reads, _SEPARATOR.split(text)))


def _reads(part: str) -> bool:
    """
    True when *part*, one command of a line, only reads, or is none.
    """
    words = part.split()
    if not words:
        return True
    if words[0] in _ARMED and "$" in part:
        return False
    if words[0] == "git":
        return len(words) > 1 and words[1] in _GIT_READERS
    if words[0] == "find":
        return not any(word.startswith(_FIND_ACTS) for word in words)
    if words[0] == "file" and any(word.startswith(("-C", "--c")) for word in words):
        return False
    return words[0] in _READERS or (words[0] == "cd" and len(words) == 2)
