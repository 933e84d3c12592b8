"""
What a Messages API request tells of its conversation.  Pure.

The shapes are those Claude Code 2.1.330 sends: reminders wrapped in ``<system-reminder>`` inside user messages, messages
of role ``system`` between the others, one assistant message per answer, and the session id in ``metadata.user_id``.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from orchestrd.errors import RequestError

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>\s*", re.DOTALL)
_CWD = re.compile(r"Primary working directory: (.+)")
_TOOL_ID = re.compile(r"toolu_[0-9a-f]{20}_(\d+)_\d+")
_MARKER = re.compile(r"\[rehearsal conversation ([0-9a-f]{12}) step (\d+)\]")
_COMPACTION = "Your task is to create a detailed summary of"
_CLI_ANSWER = "No response requested."
"""An assistant turn the CLI makes up itself when it mends an interrupted conversation (observed, 2.1.330)."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the user's side sent before one answer, and the step that answer was, if one of its tool ids tells.
    """

    results: str = ""
    user: str = ""
    position: int | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """
    A request, as far as the rehearsal needs it.
    """

    model: str
    stream: bool
    first: str
    """The first user message without reminders."""
    key: str
    """Twelve hex digits that name the conversation: a hash of *first*, kept over compaction."""
    session: str
    """The CLI's session id, or empty."""
    cwd: str
    """The agent's working directory, or empty."""
    past: tuple[Exchange, ...]
    newest: Exchange
    start: int = 0
    """The step the conversation starts at; above 0 after a compaction."""
    compaction: bool = False
    """The CLI asks for a summary, not for the next step."""


class _Message(msgspec.Struct):
    role: str
    content: str | list[dict[str, Any]] = ""


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]
    system: str | list[dict[str, Any]] = ""
    stream: bool = False
    metadata: dict[str, Any] = {}


def marker(key: str, position: int) -> str:
    """
    What a summary must hold for the conversation *key* to go on at *position* after it.
    """
    return f"[rehearsal conversation {key} step {position}]"


def tool_id(digest: str, position: int, index: int) -> str:
    """
    The id of a step's tool call number *index*; *digest* is at least 20 hex digits.
    """
    return f"toolu_{digest[:20]}_{position}_{index}"


def read_request(body: bytes) -> Conversation:
    """
    A request's body as a conversation.

    Raises `RequestError` when the body is not a Messages API request.
    """
    try:
        request = msgspec.json.decode(body, type=_Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not a Messages API request: {error}") from None
    users = [message for message in request.messages if message.role == "user"]
    if not users:
        raise RequestError("messages: at least one user message is required")
    past: list[Exchange] = []
    results: list[str] = []
    words: list[str] = []
    for message in request.messages:
        if message.role == "user":
            results.extend(_results(message.content))
            words.extend(_words(message.content))
        elif message.role == "assistant" and _words(message.content) != [_CLI_ANSWER]:
            position = _position(message.content)
            past.append(Exchange(results="\n".join(results), user="\n".join(words), position=position))
            results, words = [], []
    first = "\n".join(_words(users[0].content))
    # A second summary holds the first one; the last mark is the newest.
    marked = list(_MARKER.finditer(first))[-1:]
    return Conversation(
        model=request.model,
        stream=request.stream,
        first=first,
        key=marked[0][1] if marked else hashlib.sha256(first.encode(errors="replace")).hexdigest()[:12],
        session=_session(request.metadata),
        cwd=_cwd(request),
        past=tuple(past),
        newest=Exchange(results="\n".join(results), user="\n".join(words)),
        start=int(marked[0][2]) if marked else 0,
        compaction=any(text.lstrip().startswith(_COMPACTION) or f"\n{_COMPACTION}" in text for text in words[-1:]),
    )


def _words(content: str | list[dict[str, Any]]) -> list[str]:
    if isinstance(content, str):
        texts = [content]
    else:
        texts = [str(block.get("text", "")) for block in content if block.get("type") == "text"]
    return [text for text in (_REMINDER.sub("", text).strip() for text in texts) if text]


def _results(content: str | list[dict[str, Any]]) -> list[str]:
    if isinstance(content, str):
        return []
    found: list[str] = []
    for block in content:
        if block.get("type") != "tool_result":
            continue
        inner = block.get("content", "")
        if isinstance(inner, str):
            found.append(inner)
        elif isinstance(inner, list):
            found.extend(str(part.get("text", "")) for part in inner if isinstance(part, dict))
    return found


def _position(content: str | list[dict[str, Any]]) -> int | None:
    if isinstance(content, str):
        return None
    for block in content:
        found = _TOOL_ID.fullmatch(str(block.get("id", ""))) if block.get("type") == "tool_use" else None
        if found:
            return int(found[1])
    return None


def _session(metadata: dict[str, Any]) -> str:
    try:
        user = msgspec.json.decode(str(metadata.get("user_id", "")))
    except msgspec.DecodeError:
        return ""
    return str(user.get("session_id", "")) if isinstance(user, dict) else ""


def _cwd(request: _Request) -> str:
    for content in (request.system, *(message.content for message in request.messages if message.role != "assistant")):
        texts = [content] if isinstance(content, str) else [str(block.get("text", "")) for block in content]
        for text in texts:
            found = _CWD.search(text)
            if found:
                return found[1].strip()
    return ""
