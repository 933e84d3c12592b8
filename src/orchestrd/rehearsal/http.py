"""
HTTP/1.1 as far as one well-behaved client on loopback needs it: keep-alive, large bodies, chunked answers.

Knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

import anyio
import msgspec
from anyio.abc import SocketStream

from orchestrd.errors import RequestError

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 256 * 1024 * 1024
_NONE: Mapping[str, str] = MappingProxyType({})
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Disconnected(Exception):
    """
    The client went away.
    """


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """
    One request.  *path* has no query; the names of *headers* are in lower case.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


class Peer:
    """
    One client's connection.  Writing methods raise `Disconnected` when the client is gone.
    """

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def request(self) -> Request | None:
        """
        The next request, or None when the client closed the connection between two.

        Raises `RequestError` for bytes that are no request and `Disconnected` for half a one.
        """
        head = await self._until(b"\r\n\r\n", optional=True)
        if head is None:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        parts = first.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise RequestError(f"not an HTTP/1.1 request: {first[:80]!r}")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("expect", "").lower() == "100-continue":
            await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection = headers.get("connection", "").lower()
        return Request(
            method=parts[0],
            path=parts[1].partition("?")[0],
            headers=headers,
            body=await self._body(headers),
            keep_alive="close" not in connection and (parts[2] != "HTTP/1.0" or "keep-alive" in connection),
        )

    async def respond(self, request: Request, status: int, body: bytes, headers: Mapping[str, str] = _NONE) -> None:
        """
        A whole answer in JSON; to ``HEAD`` only its head.
        """
        sized = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        await self.send(_head(status, sized) + (b"" if request.method == "HEAD" else body))

    async def begin(self, headers: Mapping[str, str]) -> None:
        """
        The head of a stream of server-sent events.
        """
        fixed = {"content-type": "text/event-stream", "cache-control": "no-cache", "transfer-encoding": "chunked"}
        await self.send(_head(200, {**fixed, **headers}))

    async def chunk(self, data: bytes) -> None:
        """
        A part of the stream; an empty one ends it.
        """
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def send(self, data: bytes) -> None:
        """
        *data* as it is.
        """
        try:
            await self._stream.send(data)
        except _GONE:
            raise Disconnected from None

    async def gone(self) -> None:
        """
        Return when the client closes the connection; what it sends before that is kept for `request`.
        """
        try:
            while len(self._buffer) < BODY_LIMIT:
                await self._fill()
        except Disconnected:
            return
        await anyio.sleep_forever()

    async def _fill(self) -> None:
        try:
            self._buffer += await self._stream.receive()
        except _GONE:
            raise Disconnected from None

    async def _until(self, mark: bytes, *, optional: bool = False) -> bytes | None:
        searched = 0
        while (found := self._buffer.find(mark, searched)) < 0:
            searched = max(0, len(self._buffer) - len(mark) + 1)
            if len(self._buffer) > HEAD_LIMIT:
                raise RequestError("the head of the request is too long")
            try:
                await self._fill()
            except Disconnected:
                if optional and not self._buffer:
                    return None
                raise
        taken = bytes(self._buffer[:found])
        del self._buffer[: found + len(mark)]
        return taken

    async def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._fill()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return await self._chunks()
        return await self._exactly(_size(headers.get("content-length", "0"), 10))

    async def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            line = await self._until(b"\r\n") or b""
            size = _size(line.partition(b";")[0].decode("latin-1"), 16)
            if size == 0:
                break
            if len(body) + size > BODY_LIMIT:
                raise RequestError("the body of the request is too long")
            body += await self._exactly(size)
            await self._until(b"\r\n")
        while await self._until(b"\r\n"):
            pass  # trailers
        return bytes(body)


def _size(text: str, base: int) -> int:
    try:
        size = int(text.strip(), base)
    except ValueError:
        raise RequestError(f"not a length: {text[:40]!r}") from None
    if not 0 <= size <= BODY_LIMIT:
        raise RequestError("the body of the request is too long")
    return size


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Overloaded" if status == 529 else "Error"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
