"""
Results of tool calls that did not run: which they are, told by what the CLI writes.

2.1.330 says of every call that came so far whether leave was given (``tool_result_meta``).  2.1.197 never does, and neither
does 2.1.330 of a call that it refuses before it asks: those are known by the words they begin with, all of which are the CLI's
own.  A command's own words cannot pass for them: its result begins with ``Exit code`` when it failed, and is no error else.
(Read from streams of both versions.)
"""

from __future__ import annotations

from orchestrd.protocol.messages import ToolResult

RULED_OUT = "<tool_use_error>File is in a directory that is denied by your permission settings."
"""A call of a file tool that ``permissions.deny`` refuses: no hook is asked about it."""
_UNASKED = ("<tool_use_error>",)
"""Unknown tools, malformed arguments, what the tool itself refuses to begin with."""
_REFUSED = (
    "PreToolUse:",
    "PreToolUse hook did not respond",
    "Permission to use ",
    "Tool permission request failed: ",
    "Claude requested permissions to ",
    "This Bash command contains multiple operations.",
    "The user doesn't want to proceed with this tool use.",
    "The user doesn't want to take this action right now.",
    "[Request interrupted by user",
    "Cancelled: ",
)
"""Denied by a hook, a rule or a mode; taken back by an interruption; given up beside another call that failed."""
_RAN = "Exit code "


def ran(result: ToolResult) -> bool:
    """
    True when the tool ran, to whatever end, as far as the *result* of its call shows.
    """
    if not result.is_error or result.accepted:
        return True
    if result.denied or result.not_executed:
        return False
    return not result.text.lstrip().startswith(_UNASKED + _REFUSED)


def ran_all_the_same(result: ToolResult) -> bool:
    """
    True when a tool that was denied ran, as far as the *result* of its call shows: a denial has our own words (2.1.197).
    """
    return not result.is_error or result.accepted or (not result.denied and result.text.startswith(_RAN))


def ruled_out(result: ToolResult) -> bool:
    """
    True when the CLI's own rules refused the call before anybody was asked.
    """
    return result.is_error and not result.accepted and result.text.startswith(RULED_OUT)
