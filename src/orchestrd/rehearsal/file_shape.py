"""
The shape of a scenario file, key by key.  Pure values; what they mean is `scenario_file`'s to say.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Base of every part: keys that are not named here are refused.
    """


class FileUsage(Part, frozen=True, kw_only=True):
    """
    Tokens; what is left out comes from the default above.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None


class FileError(Part, frozen=True, kw_only=True):
    """
    An HTTP error, *times* times before the answer; ``retry_after`` in seconds becomes a header.
    """

    status: int = 529
    type: str | None = None
    message: str | None = None
    retry_after: float | None = None
    headers: dict[str, str | int | float] = {}
    times: int | Literal["forever"] = 1


class FileTool(Part, frozen=True, kw_only=True):
    """
    A tool call.
    """

    name: str
    input: dict[str, Any] = {}


class FileWhen(Part, frozen=True, kw_only=True):
    """
    Regexes; all that are given must be found.
    """

    result: str | None = None
    user: str | None = None
    seen: str | None = None


class FileStep(Part, frozen=True, kw_only=True):
    """
    One answer, or a fault before the next one.
    """

    thinking: str | None = None
    text: str | None = None
    tools: list[FileTool] = []
    usage: FileUsage = FileUsage()
    stop_reason: str | None = None
    delay: float = 0.0
    pace: float = 0.0
    message_id: str | None = None
    headers: dict[str, str | int | float] = {}
    error: int | Literal["prompt_too_long"] | FileError | None = None
    hang: bool | Literal["pings", "empty"] = False
    cut: bool = False
    sse_error: bool | str = False
    times: int | Literal["forever"] = 1
    when: FileWhen | None = None
    unless: FileWhen | None = None
    repeat: int = 1


class FileScenario(Part, frozen=True, kw_only=True):
    """
    The model's part in some conversations.
    """

    name: str | None = None
    match: str | None = None
    pattern: str | None = None
    vars: dict[str, str] = {}
    usage: FileUsage = FileUsage()
    steps: list[FileStep]


class ScenarioFile(Part, frozen=True, kw_only=True):
    """
    The whole file.
    """

    usage: FileUsage = FileUsage()
    scenarios: list[FileScenario]
