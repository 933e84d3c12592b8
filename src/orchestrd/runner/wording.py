"""
What an agent says and calls, in a few words for people; pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrd.redaction import BY_LOOKS, Redact

TARGET_KEYS = (
    "file_path",
    "notebook_path",
    "command",
    "pattern",
    "path",
    "url",
    "query",
    "description",
    "skill",
    "prompt",
)
TEXT_LIMIT = 4000
"""Characters of a result's text that the journal keeps; the whole is in the run's own file."""


def whole(arguments: dict[str, Any]) -> str:
    """
    What a tool call does, in full: its command line, or all its arguments as JSON.
    """
    command = arguments.get("command")
    return command if isinstance(command, str) else msgspec.json.encode(arguments).decode("utf-8", "replace")


def describe(arguments: dict[str, Any], redact: Redact = BY_LOOKS) -> str:
    """
    What a tool call is about, in one line of at most 200 characters, as *redact* leaves it.
    """
    for key in TARGET_KEYS:
        value = arguments.get(key)
        if isinstance(value, str) and value.strip():
            # Before it is cut: half a secret is not known for one.
            return first_line(redact(value[:TEXT_LIMIT]), 200)
    return ""


def first_line(text: str, limit: int = 120) -> str:
    """
    The first non-blank line of *text*, cut to *limit* characters.
    """
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
