"""
What the API answers, without the key that it was shown: one answer, as bytes come and go on.

Standard library only, and importable by path: a part of the gateway.  It waits for nothing and reads nothing.  A key in an answer gives
way to as many bytes of something else, so that lengths stay true; it is found also where it is cut in two, by reads or by chunks,
for of what comes only what may begin one is held back.  What cannot be read (RFC 9112, section 7) breaks the answer off: it would be no
answer for the agent either.
"""

from __future__ import annotations

import re
import zlib

HEAD_LIMIT = 64 * 1024
"""Bytes of an answer's head, and of a line before a chunk."""
MARK = b"[secret]"
_BODILESS = (b"204", b"304")
_PACKED = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""Content codings (RFC 9110, section 8.4.1) and the window that zlib reads them with."""


class Unclear(Exception):
    """
    The answer cannot be read, and is not passed on.
    """


class Veil:
    """
    Takes *forms* of a secret out of bytes.
    """

    def __init__(self, forms: list[bytes]) -> None:
        longest_first = sorted({form for form in forms if form}, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first)))
        self._begins = {form[:size] for form in longest_first for size in range(1, len(form))}
        self._longest = max(map(len, self._begins), default=0)
        self._held = b""

    def whole(self, data: bytes) -> bytes:
        """
        All of *data*, by itself.
        """
        return self._pattern.sub(lambda found: (MARK + b"*" * len(found[0]))[: len(found[0])], data)

    def take(self, data: bytes) -> bytes:
        """
        What may go on of what has come.
        """
        data = self.whole(self._held + data)
        sizes = range(min(self._longest, len(data)), 0, -1)
        kept = next((size for size in sizes if data[-size:] in self._begins), 0)
        self._held = data[len(data) - kept :]
        return data[: len(data) - kept]

    def end(self) -> bytes:
        """
        What was held back: no more comes.
        """
        held, self._held = self._held, b""
        return held


class Answer:
    """
    One answer to a *method*, which may be preceded by interim ones.
    """

    def __init__(self, method: str, forms: list[bytes]) -> None:
        self._veil = Veil(forms)
        self._bodiless = method == "HEAD"
        self._data = b""
        self._state = "head"
        """``head``, ``size``, ``chunk``, ``gap`` and ``trailer`` of chunks, ``length``, ``open`` to the end, ``done``."""
        self._left = 0
        self._rechunked = False
        self._unpack: zlib._Decompress | None = None
        self.begun = False
        """True once something of it went on."""

    def take(self, data: bytes) -> bytes:
        """
        What goes on to the agent of the *data* that came.

        Raises `Unclear`.
        """
        self._data += data
        out = b""
        while self._state != "done":
            step = getattr(self, f"_{self._state}")()
            if step is None:
                return out
            out += step
            self.begun = self.begun or bool(out)
        self._data = b""
        return out

    def end(self) -> bytes:
        """
        What goes on once the API has closed: nothing of an answer that it broke off.
        """
        if self._state != "open":
            return b""
        self._state = "done"
        return self._last()

    # -- the parts of an answer: each gives what goes on, None where more must come first ----------------------------------

    def _head(self) -> bytes | None:
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if len(head) > HEAD_LIMIT:
            raise Unclear("the head of the answer is too long")
        if not found:
            return None
        self._data = rest
        first, *lines = head.split(b"\r\n")
        status = first.split(b" ")[1:2]
        if not first.startswith(b"HTTP/1.") or not status or not re.fullmatch(rb"[1-5][0-9]{2}", status[0]):
            raise Unclear("it is no answer")
        if status[0] == b"101":
            raise Unclear("it speaks of something else")
        if status[0].startswith(b"1"):
            return self._veil.whole(head) + found
        fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        own = self._body(status[0], fields)
        kept = [line for line, (name, _) in zip(lines, fields, strict=True) if name not in own]
        kept += [b"Transfer-Encoding: chunked"] if self._rechunked else []
        return b"\r\n".join([self._veil.whole(line) for line in (first, *kept)]) + found

    def _body(self, status: bytes, fields: list[tuple[bytes, bytes]]) -> set[bytes]:
        """
        See how the body comes and how it goes on; the fields that are not passed on for that.
        """
        coded, packed = _all(fields, b"transfer-encoding"), _all(fields, b"content-encoding")
        lengths = set(_all(fields, b"content-length"))
        if self._bodiless or status in _BODILESS:
            self._state = "done"
            return set()
        if any(coding != b"chunked" for coding in coded) or len(coded) > 1:
            raise Unclear("it is coded in a way that was not asked for")
        packed = [coding for coding in packed if coding != b"identity"]
        if packed:
            if len(packed) > 1 or packed[0] not in _PACKED:
                raise Unclear("it is packed in a way that was not asked for")
            self._unpack = zlib.decompressobj(_PACKED[packed[0]])
        if coded:
            self._state = "size"
        elif lengths:
            if len(lengths) > 1 or not (length := lengths.pop()).isdigit():
                raise Unclear("its length is not clear")
            self._state, self._left = "length", int(length)
        else:
            self._state = "open"
        # Of what is unpacked nobody knows the length before its end.
        self._rechunked = bool(coded) or bool(packed)
        return {b"transfer-encoding", b"content-length", b"content-encoding", b"trailer"} if self._rechunked else set()

    def _size(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        size = line.partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
            raise Unclear("the size of a chunk is not clear")
        self._left = int(size, 16)
        self._state = "chunk" if self._left else "trailer"
        return b""

    def _chunk(self) -> bytes | None:
        out = self._some()
        if out is not None and not self._left:
            self._state = "gap"
        return out

    def _gap(self) -> bytes | None:
        line = self._line()
        if line:
            raise Unclear("a chunk is longer than it says")
        self._state = "size" if line is not None else "gap"
        return line

    def _trailer(self) -> bytes | None:
        line = self._line()
        if line is None or line:
            return None if line is None else b""
        self._state = "done"
        return self._last()

    def _length(self) -> bytes | None:
        out = self._some() if self._left else b""
        if out is not None and not self._left:
            self._state = "done"
            out += self._last()
        return out

    def _open(self) -> bytes | None:
        self._left = len(self._data)
        return self._some()

    def _line(self) -> bytes | None:
        line, found, rest = self._data.partition(b"\r\n")
        if len(line) > HEAD_LIMIT:
            raise Unclear("the line before a chunk is too long")
        if not found:
            return None
        self._data = rest
        return line

    def _some(self) -> bytes | None:
        """
        As much of the body as has come.
        """
        part, self._data = self._data[: self._left], self._data[self._left :]
        self._left -= len(part)
        return self._passed(part) if part else None

    def _passed(self, part: bytes) -> bytes:
        if self._unpack is not None:
            try:
                part = self._unpack.decompress(part)
            except zlib.error:
                raise Unclear("it cannot be unpacked") from None
        return self._framed(self._veil.take(part))

    def _last(self) -> bytes:
        unpacked = self._veil.take(self._unpack.flush()) if self._unpack is not None else b""
        rest = self._framed(unpacked + self._veil.end())
        return rest + b"0\r\n\r\n" if self._rechunked else rest

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(data), data) if data and self._rechunked else data


def _all(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """
    Every word that the fields of this *name* list.
    """
    return [
        word.strip().lower() for known, value in fields if known == name for word in value.split(b",") if word.strip()
    ]
