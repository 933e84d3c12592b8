"""
The stream-json output of Claude Code: bytes → messages.

`ClaudeStream` never raises on what it is fed: a line it cannot read becomes one `Malformed` or `Oversize` and the next
line is unaffected; a type it does not know becomes one `Unknown`.  Lines are decoded a chunk at a time; only a chunk that
holds a bad line is read again line by line.  Written against Claude Code 2.1.330, and 2.1.197.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from orchestrd.protocol.framer import LIMIT, LineFramer, OverlongLine, Region
from orchestrd.protocol.lines import (
    QUIET_PARTS,
    TYPED,
    AssistantLine,
    Line,
    RareLine,
    StreamLine,
    UnreadableError,
    UserLine,
    decode_line,
    decode_region,
    mend,
    moves,
    session_of,
    untyped,
)
from orchestrd.protocol.messages import Malformed, Message, Oversize, Unknown
from orchestrd.protocol.notices import read_notice
from orchestrd.protocol.turns import UsageMemory, read_assistant, read_partial, read_user


class ClaudeStream:
    """
    One agent's output.  *start* is the absolute offset of the first byte that will be fed, *limit* the longest line.
    """

    __slots__ = ("_cut", "_framer", "_memory", "events", "malformed", "moved", "oversize", "session", "unknown")

    def __init__(self, *, start: int = 0, limit: int = LIMIT) -> None:
        self._framer = LineFramer(limit, start=start)
        self._cut = self._framer.feed
        self._memory = UsageMemory()
        self.session = ""
        """The first session id seen on any line, or empty."""
        self.events = 0
        """Lines read as events, also those that told nothing and the unknown."""
        self.moved = 0
        """Goes up whenever partial messages show that the model gets on, once for all that were read together."""
        self.malformed = 0
        self.oversize = 0
        self.unknown: dict[str, int] = {}
        """How often each unknown ``type`` or ``type/subtype`` came."""

    @property
    def consumed(self) -> int:
        """
        Offset just after the last line that was read: where a new stream may start.
        """
        return self._framer.consumed

    @property
    def pending(self) -> int:
        """
        Bytes held of the line that is still coming.
        """
        return self._framer.pending

    def feed(self, chunk: bytes) -> list[Message]:
        """
        Take the next bytes; return what the lines they completed say, in order.
        """
        pieces = self._cut(chunk)
        if not pieces:
            return []
        out: list[Message] = []
        for piece in pieces:
            if isinstance(piece, OverlongLine):
                self.oversize += 1
                out.append(Oversize(offset=piece.offset, length=piece.length))
            else:
                self._read(piece, out)
        return out

    def pass_over(self, length: int) -> None:
        """
        Take *length* NUL bytes that were never written: they end no line, and spoil the one they stand in.
        """
        self._framer.pass_over(length)

    def restart(self, start: int) -> None:
        """
        The output goes on at the absolute offset *start*, at the beginning of a line.
        """
        self._framer.restart(start)

    def finish(self) -> list[Message]:
        """
        The output has ended.  A last line without its LF is read if it is whole, else told as torn.
        """
        tail = self._framer.finish()
        if tail is None:
            return []
        if tail.length > len(tail.data):
            self.oversize += 1
            return [Oversize(offset=tail.offset, length=tail.length)]
        out: list[Message] = []
        refused = self.malformed
        if tail.data.strip():
            self._read_line(tail.offset, tail.data.removesuffix(b"\r"), out, torn=True)
        if self.malformed == refused:
            self._framer.consumed += tail.length
        return out

    def _read(self, region: Region, out: list[Message]) -> None:
        """
        Say what the lines of *region* say; all at once if every one is in order, else one by one.
        """
        places = _Places(region.data)
        lines = decode_region(region.data) or []
        # The hot path: most lines of a stream with partial messages are deltas, and tell nothing.
        telling = [
            (index, line)
            for index, line in enumerate(lines)
            if line.__class__ is not StreamLine or line.event.__class__ not in QUIET_PARTS  # type: ignore[redundant-expr]
        ]
        try:
            values = [places.value(index) if isinstance(line, RareLine) else None for index, line in telling]
        except UnreadableError:
            lines = []
        if not lines:
            for offset, raw in region.lines():
                self._read_line(offset, raw, out)
            return
        if not self.session:
            self.session = next(filter(None, (session_of(raw) for _, raw in region.lines())), "")
        self.moved += _any_moves(lines, region.data)
        refused = self.malformed
        for (index, line), value in zip(telling, values, strict=True):
            try:
                self._say(line, value, places, index, out)
            except UnreadableError as error:
                raw = places.line(index)
                self._refuse(region.offset + places.at, len(raw), str(error), out)
        self.events += len(lines) - (self.malformed - refused)

    def _read_line(self, offset: int, raw: bytes, out: list[Message], *, torn: bool = False) -> None:
        try:
            try:
                line, data = decode_line(raw), raw
            except UnreadableError:
                data = mend(raw)
                if data is raw:
                    raise
                line = decode_line(data)
            if not self.session:
                self.session = session_of(data)
            places = _Places(data + b"\n")
            self._say(line, places.value(0) if isinstance(line, RareLine) else None, places, 0, out)
            self.events += 1
            self.moved += isinstance(line, StreamLine) and moves(line, lambda: data)
        except UnreadableError as error:
            self._refuse(offset, len(raw), str(error), out, torn=torn)

    def _say(self, line: Line, value: dict[str, Any] | None, places: _Places, index: int, out: list[Message]) -> None:
        """
        Append what *line*, the one at *index*, says; *value* if it is a rare one.  Raises `UnreadableError`.
        """
        if isinstance(line, AssistantLine):
            messages = read_assistant(line, self._memory)
        elif isinstance(line, UserLine):
            messages = read_user(line)
        elif isinstance(line, StreamLine):
            messages = read_partial(line, self._memory, lambda: untyped(places.line(index)))
        else:
            messages = read_notice(value or {})
        for message in messages:
            if isinstance(message, Unknown):
                name = f"{message.type}/{message.subtype}" if message.subtype else message.type
                self.unknown[name] = self.unknown.get(name, 0) + 1
        out += messages

    def _refuse(self, offset: int, length: int, reason: str, out: list[Message], *, torn: bool = False) -> None:
        self.malformed += 1
        out.append(Malformed(offset=offset, length=length, reason=reason, torn=torn))


def _any_moves(lines: list[Line], data: bytes) -> bool:
    """
    True when one of *lines*, which are *data*, shows that the model gets on.
    """
    places = _Places(data)
    return any(
        moves(line, partial(places.line, index)) for index, line in enumerate(lines) if isinstance(line, StreamLine)
    )


class _Places:
    """
    Where the lines of a region lie.  Only the few lines that need their bytes are looked up, best in rising order.
    """

    __slots__ = ("_data", "_index", "at")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._index = 0
        self.at = 0
        """Offset in the region of the line that was asked for last."""

    def line(self, index: int) -> bytes:
        """
        The line at *index*, without its end.
        """
        if index < self._index:
            self._index = self.at = 0
        find = self._data.find
        at = self.at
        for _ in range(index - self._index):
            at = find(b"\n", at) + 1
        self._index, self.at = index, at
        return self._data[at : find(b"\n", at)].removesuffix(b"\r")

    def value(self, index: int) -> dict[str, Any]:
        """
        The values of the rare line at *index*.  Raises `UnreadableError`, also when it is none: then lines and values of
        the region do not match one to one.
        """
        value = untyped(self.line(index))
        kind = value.get("type")
        if not isinstance(kind, str):
            raise UnreadableError("no type")
        if kind in TYPED:
            raise UnreadableError("not a line of its own")
        return value
