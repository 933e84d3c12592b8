"""
One client of the control socket: its bytes cut into request lines, and its replies.

A plain asyncio Protocol: this is a hot path, and one write for a whole chunk of pipelined requests is worth a factor of
six (measured).  Nobody's flood may keep the others waiting, so a client's lines are taken a few at a time.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the Protocol API; everything else is anyio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import anyio
import msgspec

from orchestrd.failpoint import failpoint
from orchestrd.protocol import jsonrpc as rpc

MAX_IN_FLIGHT = 256
LINES_A_TURN = 8
"""
How many lines of one client are taken before everybody else has a turn.  Beside ten that send 200 at once a polite client's
99th percentile is a fiftieth of what it is with a whole burst a turn, and nothing is slower (`benchmarks/turns.py`).
"""
BACKLOG = 1 << 20
"""Bytes a peer may leave unread before more has to wait."""
LINE_SECONDS = 30.0
"""How long a client may take to finish a line it began."""


class Host(Protocol):
    """
    What a connection needs of the server.
    """

    def admit(self, connection: Connection, peer: socket.socket) -> bool:
        """
        True when the connection is served.
        """

    def forget(self, connection: Connection) -> None:
        """
        The connection is gone.
        """

    def spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """
        Run *work* as long as the server does.
        """

    async def answer(self, line: bytes, connection: Connection) -> bytes | None:
        """
        The reply line to one request line, or None for a notification.
        """


class Connection(asyncio.Protocol):
    """
    One client.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self.peer = 0
        """The process that connected."""
        self.trusted = False
        """True once the peer was seen to be no agent's."""
        self._transport: asyncio.Transport | None = None
        self._pending = bytearray()
        self._searched = 0
        self._in_flight = 0
        self._timer: asyncio.TimerHandle | None = None
        self._turn: asyncio.Handle | None = None
        self._left = False
        self._room = anyio.Event()
        self._room.set()
        self.closed = anyio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        A peer connected.
        """
        failpoint("rpc.connected")
        self._transport = transport  # type: ignore[assignment]  # a stream transport has write()
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=BACKLOG)
        if not self._host.admit(self, transport.get_extra_info("socket")):
            self.write(
                rpc.error_line(None, rpc.ErrorObject(code=rpc.BUSY, message="not served: wrong user or too busy"))
            )
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """
        The peer is gone; requests under way go on, their replies are dropped.
        """
        del exc
        self._transport = None
        self._stop_timer()
        self._host.forget(self)
        self.closed.set()
        # What it asked and nobody has taken yet is done all the same.
        self._room.set()
        self._go_on()

    def pause_writing(self) -> None:
        """
        The peer has not taken a `BACKLOG` of bytes: it is not read on, or its replies would pile up without end.
        """
        self._room = anyio.Event()
        self._go_on()

    def resume_writing(self) -> None:
        """
        The peer has taken most of what was written.
        """
        self._room.set()
        self._go_on()

    async def drained(self) -> None:
        """
        Wait until the peer has taken most of what was written, or is gone.
        """
        await self._room.wait()

    def data_received(self, data: bytes) -> None:
        """
        Bytes of one or more lines, or of a part of one.
        """
        self._pending += data
        if not self._left:
            self._take_turn()

    def _take_turn(self) -> None:
        """
        Take some of the lines that have come; what is left has its turn once everybody else had theirs.
        """
        self._turn = None
        self._left = True
        for _ in range(LINES_A_TURN):
            end = self._pending.find(b"\n", self._searched)
            if end < 0:
                self._left = False
                self._wait_for_line()
                break
            self._stop_timer()
            line = bytes(self._pending[:end])
            del self._pending[: end + 1]
            self._searched = 0
            if end > rpc.MAX_LINE:
                self._refuse_line()
                break
            if line.strip():
                self._take(line)
        self._go_on()

    def _wait_for_line(self) -> None:
        self._searched = len(self._pending)
        if self._searched > rpc.MAX_LINE:
            self._refuse_line()
        elif self._pending and self._timer is None and self._transport is not None:
            # From its first byte on: a client that sends a byte now and then must not hold a line open for ever.
            self._timer = asyncio.get_running_loop().call_later(LINE_SECONDS, self.close)

    def _go_on(self) -> None:
        """
        Take the lines that are left, or read on when none are; neither while the peer does not take its replies.
        """
        if self._left and self._turn is None and self._room.is_set():
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)
        if self._transport is None or self._transport.is_closing():
            return
        if self._left or not self._room.is_set():
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _refuse_line(self) -> None:
        self._pending.clear()
        self._searched = 0
        self._left = False
        self.write(rpc.error_line(None, rpc.ErrorObject(code=rpc.INVALID_REQUEST, message="a line is over 1 MiB")))
        self.close()

    def _take(self, line: bytes) -> None:
        if self._in_flight >= MAX_IN_FLIGHT:
            number = None
            try:
                request = rpc.decode_request(line)
                number = None if request.id is msgspec.UNSET else request.id
            except rpc.ProtocolError:
                pass
            self.write(
                rpc.error_line(number, rpc.ErrorObject(code=rpc.BUSY, message="too many requests in flight; wait"))
            )
            return
        self._in_flight += 1
        self._host.spawn(self._answer, line)

    async def _answer(self, line: bytes) -> None:
        try:
            reply = await self._host.answer(line, self)
            if reply is not None:
                self.write(reply)
        finally:
            self._in_flight -= 1

    def write(self, data: bytes) -> None:
        """
        Send whole lines; dropped when the peer is gone.
        """
        if self._transport is not None:
            self._transport.write(data)

    def spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """
        Run *work* beside this connection, which ends when the work breaks: the peer must not wait for more of it.
        """
        self._host.spawn(self._beside, work, args)

    async def _beside(self, work: Callable[..., Coroutine[Any, Any, None]], args: tuple[Any, ...]) -> None:
        try:
            await work(*args)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """
        Send what is written, then close.
        """
        if self._transport is not None:
            self._transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
