"""
Lines of the conversation → messages: what the model said, called and was answered, and what each response used.

Facts (Claude Code 2.1.330): one line per content block; lines of one API response share ``message.id`` and repeat its
usage as it stood at the *start* of the response, with about one output token; final figures come only with partial
messages (``message_delta``), or on a line with a ``stop_reason``, which the non-streaming fallback writes.

The service gives every response an id of its own.  What stands between may not, and give one twice or leave it out: a response
that begins (``message_start``) under an id that was there before is another one, and gets a name of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrd.domain.model import Usage
from orchestrd.protocol.fields import api_ended, api_legible, api_usage, items, mapping, plain_model, text, whole
from orchestrd.protocol.lines import (
    AssistantLine,
    Block,
    MessageDelta,
    MessageStart,
    StreamLine,
    UnreadableError,
    UserLine,
    plain_text,
)
from orchestrd.protocol.messages import (
    ApiFailure,
    Message,
    MessageUsage,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Unknown,
    UserEcho,
)

RESULT_CHARS = 2000
_SYNTHETIC = "<synthetic>"
REMEMBERED = 256
"""Responses whose usage is remembered; more than run at once in any conversation.  One that was forgotten is told again."""


class UsageMemory:
    """
    Tells each change of a response's usage, mostly once.  Bounded: the oldest response is forgotten first, so this saves
    work; who counts must not rely on it.
    """

    __slots__ = ("_begun", "_last", "_named", "_open", "_seen")

    def __init__(self) -> None:
        self._last: tuple[str, dict[str, Any], Usage] = ("", {}, Usage())
        self._seen: dict[str, MessageUsage] = {}
        self._open: dict[str | None, str] = {}
        self._begun: dict[str, int] = {}
        """Id to how many responses began under it."""
        self._named: dict[tuple[str | None, str], str] = {}
        """Conversation and id to the name of the response that began last under it, where that is another one."""

    def note(self, usage: MessageUsage) -> MessageUsage | None:
        """
        *usage* if it is news: not told before, and no snapshot after the final figures.
        """
        before = self._seen.pop(usage.message_id, None)
        stale = before is not None and (before == usage or (before.final and not usage.final))
        self._seen[usage.message_id] = before if before is not None and stale else usage
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return None if stale else usage

    def counted(self, message_id: str, usage: dict[str, Any]) -> Usage:
        """
        *usage* read.  The lines of one response repeat it, so the last one is kept.
        """
        known, before, read = self._last
        if known != message_id or before != usage:
            read = api_usage(usage)
            self._last = (message_id, usage, read)
        return read

    def start(self, message: dict[str, Any], subagent: str | None) -> MessageUsage | None:
        """
        A response begins: its id, model, and first figures.
        """
        message_id = self._name(text(message, "id"), subagent)
        if len(self._open) > REMEMBERED:
            self._open.clear()
        self._open[subagent] = message_id
        counts = mapping(message.get("usage"))
        usage, told = self.counted(message_id, counts), api_legible(counts)
        return self.note(_usage(message_id, text(message, "model"), usage, subagent, final=False, told=told))

    def _name(self, given: str, subagent: str | None) -> str:
        """
        The name of a response that begins under the id that it was *given*.
        """
        count = self._begun.pop(given, 0 if given else 1) + 1
        self._begun[given] = count
        if len(self._begun) > REMEMBERED:
            del self._begun[next(iter(self._begun))]
        self._named.pop((subagent, given), None)
        if count == 1:
            return given
        if len(self._named) >= REMEMBERED:
            self._named.clear()
        self._named[subagent, given] = name = f"{given}#{count}"
        return name

    def name(self, given: str, subagent: str | None) -> str:
        """
        The name of the response that began last in that conversation under the id that it was *given*: mostly that id.
        """
        return self._named.get((subagent, given), given)

    def opened(self, subagent: str | None) -> str:
        """
        The response that began last, or empty when its beginning was not seen.
        """
        return self._open.get(subagent, "")

    def end(self, usage: dict[str, Any], message_id: str, subagent: str | None) -> MessageUsage | None:
        """
        A response ends: its final figures; what they leave out is as it was at the start.
        """
        before = self._seen.get(message_id)
        final = api_usage(usage, before.usage if before else None)
        told = api_ended(usage)
        if before is not None:
            # One that ends twice has said it if it did so once.
            told = (told or before.told) if before.final else (told and before.told)
        return self.note(_usage(message_id, before.model if before else "", final, subagent, final=True, told=told))


def read_assistant(line: AssistantLine, memory: UsageMemory) -> list[Message]:
    """
    The messages of an ``assistant`` line.  Raises `UnreadableError`.
    """
    body = line.message
    if body is None:
        raise UnreadableError("assistant line without a message")
    # What the CLI puts into the model's mouth is no response.
    subagent = _string(line.parent_tool_use_id) or None
    message_id = "" if body.model == _SYNTHETIC else memory.name(_string(body.id), subagent)
    blocks = body.content if isinstance(body.content, list) else []
    if line.error is not None or line.is_api_error_message is True:
        out: list[Message] = [_failure(line, message_id, blocks)]
    else:
        out = [_block(block, message_id, subagent) for block in blocks]
        if isinstance(body.content, str):
            out.append(Text(message_id=message_id, text=body.content, subagent=subagent))
    if body.model != _SYNTHETIC and isinstance(body.usage, dict):
        final = isinstance(body.stop_reason, str)
        usage = memory.counted(message_id, body.usage)
        told = api_ended(body.usage) if final else api_legible(body.usage)
        news = memory.note(_usage(message_id, _string(body.model), usage, subagent, final=final, told=told))
        if news is not None:
            out.append(news)
    return out


def read_user(line: UserLine) -> list[Message]:
    """
    The messages of a ``user`` line: tool results, and text.  Raises `UnreadableError`.
    """
    body = line.message
    if body is None:
        raise UnreadableError("user line without a message")
    subagent = _string(line.parent_tool_use_id) or None
    out: list[Message] = []
    blocks = [Block(type="text", text=body.content)] if isinstance(body.content, str) else body.content
    for block in blocks if isinstance(blocks, list) else []:
        kind = _string(block.type)
        if kind == "tool_result":
            out.append(_tool_result(block, line, subagent))
        elif kind == "text":
            synthetic, replay = line.isSynthetic is True, line.isReplay is True
            out.append(UserEcho(text=_string(block.text), synthetic=synthetic, replay=replay, subagent=subagent))
        elif kind not in {"image", "document"}:
            out.append(Unknown(type="user", subtype=kind))
    return out


def read_partial(line: StreamLine, memory: UsageMemory, raw: Callable[[], dict[str, Any]]) -> list[Message]:
    """
    The usage told by a partial message; deltas of text tell nothing.  *raw* gives the line's plain values.

    Raises `UnreadableError`.
    """
    part = line.event
    subagent = _string(line.parent_tool_use_id) or None
    news: Message | None = None
    if isinstance(part, MessageStart):
        news = memory.start(mapping(part.message), subagent)
    elif isinstance(part, MessageDelta):
        # The line knows whose end it is, in whatever order ends come; an older CLI's does not.
        given = text(raw(), "api_message_id")
        message_id = memory.name(given, subagent) if given else memory.opened(subagent)
        if message_id or isinstance(part.usage, dict):
            news = memory.end(mapping(part.usage), message_id, subagent)
    elif part is None:
        event = raw().get("event")
        if not isinstance(event, dict):
            raise UnreadableError("stream event without an event")
        news = Unknown(type="stream_event", subtype=text(event, "type"))
    return [] if news is None else [news]


def _block(block: Block, message_id: str, subagent: str | None) -> Message:
    kind = _string(block.type)
    if kind == "text":
        return Text(message_id=message_id, text=_string(block.text), subagent=subagent)
    if kind in {"thinking", "redacted_thinking"}:
        return Thinking(message_id=message_id, subagent=subagent)
    if kind == "tool_use":
        return ToolCall(
            id=_string(block.id),
            name=_string(block.name),
            input=mapping(block.input),
            message_id=message_id,
            subagent=subagent,
        )
    return Unknown(type="assistant", subtype=kind)


def _failure(line: AssistantLine, message_id: str, blocks: list[Block]) -> ApiFailure:
    words = [block.text for block in blocks if isinstance(block.text, str)]
    return ApiFailure(
        kind=_string(line.error) or "unknown",
        status=whole(line.api_error_status),
        text="\n".join(words),
        message_id=message_id,
    )


def _tool_result(block: Block, line: UserLine, subagent: str | None) -> ToolResult:
    call = _string(block.tool_use_id)
    metas = (mapping(entry) for entry in items(line.tool_result_meta))
    meta = next((entry for entry in metas if entry.get("id") == call), {})
    decision = mapping(meta.get("permission_decision")).get("decision")
    return ToolResult(
        id=call,
        is_error=block.is_error is True,
        text=plain_text(block.content, RESULT_CHARS),
        subagent=subagent,
        accepted=decision == "accept",
        denied=decision == "reject",
        not_executed=isinstance(meta.get("non_execution_kind"), str),
    )


def _usage(message_id: str, model: str, usage: Usage, subagent: str | None, *, final: bool, told: bool) -> MessageUsage:
    return MessageUsage(
        message_id=message_id, model=plain_model(model), usage=usage, final=final, subagent=subagent, told=told
    )


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
