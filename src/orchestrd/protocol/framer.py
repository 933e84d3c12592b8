"""
Bytes → whole lines, whatever the chunks.

Promises: the same lines for every way of cutting the input; linear time, because no byte is searched twice; memory
bounded by the limit, because a longer line is dropped as it comes and told as one `OverlongLine`; the next line after it
is read.  Offsets are absolute, so `LineFramer.consumed` is a durable cursor: a reader that starts again there sees
exactly the lines it has not seen.

This module must not look inside a line.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

LIMIT = 8 * 1024 * 1024
"""
Longest line by default: it is what one stream may hold in memory.  Claude Code 2.1.330 writes lines of 2 MB (a file of
1.8 MB, twice).
"""
_PART = 1 << 18
"""Bytes after which an unfinished line goes on in a new buffer: one that grows to the limit is moved, and is there twice."""


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """
    One or more whole lines in a row: *data* starts at *offset*, ends with LF, and may hold blank lines.
    """

    offset: int
    data: bytes

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """
        Each line that is not blank, with its offset, without LF or CRLF.
        """
        at = 0
        while (end := self.data.find(b"\n", at)) >= 0:
            line = self.data[at:end]
            if line.endswith(b"\r"):
                line = line[:-1]
            if line and not line.isspace():
                yield self.offset + at, line
            at = end + 1


class OverlongLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    A line longer than the limit, dropped: *length* is without its LF.
    """

    offset: int
    length: int


class TornTail(msgspec.Struct, frozen=True, kw_only=True):
    """
    What follows the last LF at the end of the input.  *length* is greater than ``len(data)`` when it was overlong.
    """

    offset: int
    length: int
    data: bytes


class LineFramer:
    """
    Cuts a stream into whole lines.  *start* is the absolute offset of the first byte that will be fed.
    """

    __slots__ = ("_dropped", "_limit", "_parts", "consumed", "pending")

    def __init__(self, limit: int = LIMIT, *, start: int = 0) -> None:
        self._limit = limit
        self._parts = [bytearray()]
        self._dropped = 0
        self.consumed = start
        """Offset just after the last line that was handed out."""
        self.pending = 0
        """Bytes held of the line that is still coming."""

    def feed(self, chunk: bytes) -> list[Region | OverlongLine]:
        """
        Take the next bytes; return the lines they completed, in order.
        """
        last = chunk.rfind(b"\n")
        if last < 0:
            self._hold(chunk)
            return []
        if self._dropped:
            return self._resync(chunk)
        data = chunk[: last + 1]
        if self.pending:
            data = b"".join((*self._parts, data))
            self._let_go()
        # Only a region over the limit can hold a line over the limit.
        out: list[Region | OverlongLine] = []
        if len(data) <= self._limit:
            out.append(Region(offset=self.consumed, data=data))
            self.consumed += len(data)
        else:
            self._sift(data, out)
        if last + 1 < len(chunk):
            self._hold(chunk[last + 1 :])
        return out

    def pass_over(self, length: int) -> None:
        """
        Take *length* bytes without an LF that nobody has to see: what feeding as many NUL bytes would come to.
        """
        if self.pending + length > self._limit:
            self._dropped += self.pending + length
            self._let_go()
        else:
            self.feed(bytes(length))

    def finish(self) -> TornTail | None:
        """
        The input has ended: what is left of an unfinished line, or None.
        """
        length = self._dropped or self.pending
        if not length:
            return None
        tail = TornTail(offset=self.consumed, length=length, data=b"".join(self._parts))
        self._let_go()
        self._dropped = 0
        return tail

    def restart(self, start: int) -> None:
        """
        The input goes on at the absolute offset *start*: what was held of an unfinished line will never be finished.
        """
        self._let_go()
        self._dropped = 0
        self.consumed = start

    def _hold(self, part: bytes) -> None:
        """
        Keep *part* of an unfinished line, or only its length once the line is over the limit.
        """
        if self._dropped:
            self._dropped += len(part)
            return
        last = self._parts[-1]
        last += part
        self.pending += len(part)
        if self.pending > self._limit:
            self._dropped = self.pending
            self._let_go()
        elif len(last) >= _PART:
            self._parts.append(bytearray())

    def _let_go(self) -> None:
        self._parts = [bytearray()]
        self.pending = 0

    def _resync(self, chunk: bytes) -> list[Region | OverlongLine]:
        """
        End the line that is being dropped at the first LF of *chunk*, and go on behind it.
        """
        end = chunk.find(b"\n")
        length = self._dropped + end
        overlong = OverlongLine(offset=self.consumed, length=length)
        self.consumed += length + 1
        self._dropped = 0
        return [overlong, *self.feed(chunk[end + 1 :])]

    def _sift(self, data: bytes, out: list[Region | OverlongLine]) -> None:
        """
        Part *data*, whole lines, into regions within the limit and the lines over it.
        """
        begin = at = 0
        size = len(data)
        while at < size:
            end = data.find(b"\n", at)
            overlong = end - at > self._limit
            if begin < at and (overlong or end + 1 - begin > self._limit):
                self._hand_out(data[begin:at], out)
                begin = at
            if overlong:
                out.append(OverlongLine(offset=self.consumed, length=end - at))
                self.consumed += end + 1 - at
                begin = end + 1
            at = end + 1
        if begin < size:
            self._hand_out(data[begin:], out)

    def _hand_out(self, data: bytes, out: list[Region | OverlongLine]) -> None:
        out.append(Region(offset=self.consumed, data=data))
        self.consumed += len(data)
