"""
Lines of Claude Code's stream-json → decoded lines, as little of each as is needed.

The frequent types have a Struct of the fields that messages need; everything else on the line is skipped by the decoder
without being built, which is what makes a stream of text deltas cheap.  The rare types are recognised here and read by
`untyped`.  A type or part that has no tag here is only slower: its chunk is read line by line.

Facts the code leans on (msgspec 0.22): a batch call fails as a whole on one bad line; bad UTF-8, deep nesting and bad
JSON raise three different exceptions; lone surrogates, which JSON.stringify writes for a string cut inside a pair, are
refused; a batch takes two values on one line, and one value on two lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import msgspec

from orchestrd.protocol.fields import mapping, text


class Block(msgspec.Struct, gc=False):
    """
    One block of a message's content.
    """

    type: Any = None
    text: Any = None
    id: Any = None
    name: Any = None
    input: Any = None
    tool_use_id: Any = None
    content: msgspec.Raw = msgspec.Raw()
    is_error: Any = None


class Body(msgspec.Struct, gc=False):
    """
    The ``message`` of an assistant or user line.
    """

    id: Any = None
    model: Any = None
    content: list[Block] | str | int | float | bool | None = None
    stop_reason: Any = None
    usage: Any = None


class AssistantLine(msgspec.Struct, gc=False, tag_field="type", tag="assistant"):
    """
    A block of the model's answer.
    """

    message: Body | None = None
    parent_tool_use_id: Any = None
    error: Any = None
    is_api_error_message: Any = None
    api_error_status: Any = None


class UserLine(msgspec.Struct, gc=False, tag_field="type", tag="user"):
    """
    Tool results, or text on the user's side.
    """

    message: Body | None = None
    parent_tool_use_id: Any = None
    tool_result_meta: Any = None
    isSynthetic: Any = None  # noqa: N815 - the wire's spelling
    isReplay: Any = None  # noqa: N815


class _Part(msgspec.Struct, gc=False, tag_field="type"):
    pass


class MessageStart(_Part, gc=False, tag="message_start"):
    """
    A response begins, with its first usage.
    """

    message: Any = None


class MessageDelta(_Part, gc=False, tag="message_delta"):
    """
    A response ends, with its final usage.
    """

    usage: Any = None


class _BlockDelta(_Part, gc=False, tag="content_block_delta"):
    pass


class _BlockStart(_Part, gc=False, tag="content_block_start"):
    pass


class _BlockStop(_Part, gc=False, tag="content_block_stop"):
    pass


class _MessageStop(_Part, gc=False, tag="message_stop"):
    pass


class _Ping(_Part, gc=False, tag="ping"):
    pass


QUIET_PARTS = frozenset({_BlockStart, _BlockDelta, _BlockStop, _MessageStop, _Ping})
"""The classes of parts that tell nothing; deltas are most lines of a stream with partial messages."""


class StreamLine(msgspec.Struct, gc=False, tag_field="type", tag="stream_event"):
    """
    A partial message.  ``event`` is None for a part that is new to us.
    """

    event: _BlockDelta | MessageStart | MessageDelta | _BlockStart | _BlockStop | _MessageStop | _Ping | None = None
    parent_tool_use_id: Any = None


def moves(line: StreamLine, raw: Callable[[], bytes]) -> bool:
    """
    True for a partial message, of the bytes *raw*, by which the model gets on: every one but pings and deltas of nothing, which
    a service may send for ever.  Of thinking that is kept from us a delta has no words but a count of tokens (Claude Code
    2.1.330).
    """
    if isinstance(line.event, _BlockDelta):
        # Not decoded with the others: most lines are deltas, and of all that are read together one is enough.
        return _holds(raw())
    return not isinstance(line.event, _Ping)


class RareLine(msgspec.Struct, gc=False, tag_field="type", tag="system"):
    """
    A line that is read by `untyped`: of any type but the three above, also an unknown one or none.
    """


class _Result(RareLine, gc=False, tag="result"):
    pass


class _Request(RareLine, gc=False, tag="control_request"):
    pass


class _Response(RareLine, gc=False, tag="control_response"):
    pass


class _ToolProgress(RareLine, gc=False, tag="tool_progress"):
    pass


TYPED = frozenset({"assistant", "user", "stream_event"})
"""The types that are not rare."""

Line: TypeAlias = AssistantLine | UserLine | StreamLine | RareLine


class _Head(msgspec.Struct, gc=False):
    session_id: Any = None


_LINE: msgspec.json.Decoder[Line] = msgspec.json.Decoder(
    AssistantLine | UserLine | StreamLine | RareLine | _Result | _Request | _Response | _ToolProgress
)
_HEAD = msgspec.json.Decoder(_Head)
_ANY = msgspec.json.Decoder()
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class UnreadableError(Exception):
    """
    A line that is no event; the message says why.  Never leaves the protocol layer.
    """


def decode_region(data: bytes) -> list[Line] | None:
    """
    Every line of *data*, which ends with LF; None when it must be read line by line.
    """
    try:
        lines = _LINE.decode_lines(data)
    except _REFUSED:
        return None
    # Fewer or more values than lines: blank lines, or values that do not keep to their lines.
    return lines if len(lines) == _ends(data, len(lines)) else None


def decode_line(raw: bytes) -> Line:
    """
    One line.  Raises `UnreadableError`.
    """
    try:
        return _LINE.decode(raw)
    except msgspec.ValidationError as error:
        value = untyped(raw)
        kind = text(value, "type")
        if kind == "stream_event" and isinstance(value.get("event"), dict):
            return StreamLine()
        if kind in TYPED:
            raise UnreadableError(str(error)) from None
        return RareLine()
    except _REFUSED as error:
        raise UnreadableError(_reason(error)) from None


def untyped(raw: bytes) -> dict[str, Any]:
    """
    One line as plain values.  Raises `UnreadableError`.
    """
    try:
        value = _ANY.decode(raw)
    except _REFUSED as error:
        raise UnreadableError(_reason(error)) from None
    if not isinstance(value, dict):
        raise UnreadableError("not an object")
    return value


def mend(raw: bytes) -> bytes:
    """
    *raw* with every lone surrogate escape replaced by U+FFFD; *raw* itself when that is not its trouble.
    """
    if b"\\u" not in raw:
        return raw
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse_constant)
        mended = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    except (ValueError, RecursionError):
        return raw
    return mended.encode()


def session_of(raw: bytes) -> str:
    """
    The ``session_id`` of a line, or empty.
    """
    try:
        session = _HEAD.decode(raw).session_id
    except _REFUSED:
        return ""
    return session if isinstance(session, str) else ""


def plain_text(content: msgspec.Raw, limit: int) -> str:
    """
    The first *limit* characters of a tool result's ``content``: a string, or blocks of which the texts count.
    """
    raw = memoryview(content)
    if not raw:
        return ""
    # A character is at most twelve bytes, two escapes.
    if raw[0] == ord('"') and len(raw) > 12 * limit + 2:
        return _opening(bytes(raw[1 : 12 * limit + 1]))[:limit]
    try:
        value = _ANY.decode(raw)
    except _REFUSED:
        return ""
    if isinstance(value, str):
        return value[:limit]
    if not isinstance(value, list):
        return ""
    return "\n".join(text(block, "text") for block in value if isinstance(block, dict) and "text" in block)[:limit]


def _holds(raw: bytes) -> bool:
    """
    True when the delta of a line has anything beside its type.
    """
    try:
        delta = mapping(mapping(untyped(raw).get("event")).get("delta"))
    except UnreadableError:
        return False
    return any(held for name, held in delta.items() if name != "type")


def _ends(data: bytes, guess: int) -> int:
    """
    How many LF *data* holds.  Searching beats counting when lines are long: *guess* tells.
    """
    if len(data) < 1000 * guess:
        return data.count(b"\n")
    found = at = 0
    while at := data.find(b"\n", at) + 1:
        found += 1
    return found


def _opening(cut: bytes) -> str:
    """
    The text of a JSON string that was cut anywhere: the cut may lie inside an escape, a pair or a UTF-8 sequence.
    """
    for end in range(len(cut), max(len(cut) - 12, 0), -1):
        try:
            value = _ANY.decode(b'"' + cut[:end] + b'"')
        except _REFUSED:
            continue
        return value if isinstance(value, str) else ""
    return ""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error)
