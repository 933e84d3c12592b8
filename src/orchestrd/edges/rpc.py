"""
The control socket: accept, check the peer, answer each request line with one line.

It knows JSON-RPC and limits; what a method does is the handlers' business.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the server of a Protocol; everything else is anyio
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskGroup, TaskStatus

from orchestrd.ancestry import refuse_peer
from orchestrd.edges.connection import Connection
from orchestrd.edges.endpoint import Endpoint
from orchestrd.errors import InsideRun, OrchestrdError, StorageError
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger
from orchestrd.protocol import jsonrpc as rpc
from orchestrd.protocol.api import METHODS
from orchestrd.redaction import BY_LOOKS

log = get_logger(__name__)
MAX_CONNECTIONS = 64
LOOK_SECONDS = 1.0
"""Between two looks whether clients still find the socket."""
_KEEP: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""From Python 3.13 on a server removes its path by itself, also one that is not ours."""
_UCRED = struct.Struct("3i")
_PARAMS = {name: msgspec.json.Decoder(method.params) for name, method in METHODS.items()}

Handler = Callable[[Any, Connection], Awaitable[Any]]


class Server:
    """
    Listens at one endpoint for this user only.
    """

    def __init__(
        self, endpoint: Endpoint, handlers: dict[str, Handler], moved: Callable[[Path], None] = lambda _: None
    ) -> None:
        """
        *moved* is told where clients find us, when that is no longer where it was.
        """
        self._endpoint = endpoint
        self._moved = moved
        self._handlers = handlers
        self._connections: set[Connection] = set()
        self._group: TaskGroup | None = None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Serve until cancelled.  The home lock must be held: whatever lies at the path is a dead daemon's.

        Raises `StorageError` when the path cannot be bound.
        """
        failpoint("home.adopted.before_bind")
        listener = self._endpoint.open()
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                server = await self._serve(listener)
                task_status.started()
                failpoint("rpc.listening")
                try:
                    while True:
                        await anyio.sleep(LOOK_SECONDS)
                        if await anyio.to_thread.run_sync(self._endpoint.lost):
                            server = await self._again(server)
                finally:
                    # What still comes is not taken any more: the connections are hung up on.
                    self._group = None
                    server.close()
                    for connection in list(self._connections):
                        connection.close()
        finally:
            self._endpoint.close()

    async def _serve(self, listener: socket.socket) -> asyncio.Server:
        return await asyncio.get_running_loop().create_unix_server(self._connect, sock=listener, **_KEEP)

    async def _again(self, server: asyncio.Server) -> asyncio.Server:
        """
        Listen where clients can find us again; who is connected stays so.
        """
        try:
            listener = await anyio.to_thread.run_sync(self._endpoint.again)
        except StorageError as error:
            log.warning("rpc.unreachable", error=error.message)
            return server
        log.warning("rpc.listening_again", socket=str(self._endpoint.path))
        successor = await self._serve(listener)
        server.close()
        self._moved(self._endpoint.path)
        return successor

    def _connect(self) -> Connection:
        return Connection(self)

    def admit(self, connection: Connection, peer: socket.socket) -> bool:
        """
        True when the peer is this user and there is room.
        """
        if len(self._connections) >= MAX_CONNECTIONS:
            return False
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        connection.peer, uid, _ = _UCRED.unpack(credentials)
        if uid != os.getuid():
            log.warning("rpc.refused", uid=uid)
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """
        The connection is gone.
        """
        self._connections.discard(connection)

    def spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """
        Run *work* as long as the server does; what goes wrong in it is logged and harms nobody else.
        """
        if self._group is not None:
            self._group.start_soon(_guarded, work, args)

    async def answer(self, line: bytes, connection: Connection) -> bytes | None:
        """
        The reply line to one request line, or None for a notification.
        """
        try:
            request = rpc.decode_request(line)
        except rpc.ProtocolError as error:
            return rpc.error_line(error.id, rpc.ErrorObject(code=error.code, message=str(error)))
        silent = request.id is msgspec.UNSET
        number = None if request.id is msgspec.UNSET else request.id
        try:
            result = await self._call(request, connection)
            reply = rpc.result_line(number, result)
            if METHODS[request.method].writes:
                failpoint("rpc.synced.before_reply")
        except OrchestrdError as error:
            data = {"hint": BY_LOOKS(error.hint), "exit_status": error.exit_status}
            message = BY_LOOKS(error.message)
            reply = rpc.error_line(number, rpc.ErrorObject(code=error.rpc_code, message=message, data=data))
        except rpc.ProtocolError as error:
            reply = rpc.error_line(number, rpc.ErrorObject(code=error.code, message=str(error)))
        except Exception:
            log.exception("rpc.failed", method=request.method)
            failure = rpc.ErrorObject(
                code=rpc.INTERNAL_ERROR, message=f"{request.method} failed inside the daemon; see its log"
            )
            reply = rpc.error_line(number, failure)
        if len(reply) > rpc.MAX_LINE:
            too_long = rpc.ErrorObject(
                code=rpc.INTERNAL_ERROR, message=f"the reply is {len(reply)} bytes, over the limit; ask for less"
            )
            reply = rpc.error_line(number, too_long)
        return None if silent else reply

    async def _call(self, request: rpc.Request, connection: Connection) -> Any:
        handler = self._handlers.get(request.method)
        if handler is None:
            raise rpc.ProtocolError(rpc.METHOD_NOT_FOUND, f"there is no method {request.method}")
        if METHODS[request.method].commands:
            self._refuse_agents(request.method, connection)
        try:
            raw = b"{}" if request.params is msgspec.UNSET else bytes(request.params)
            params = _PARAMS[request.method].decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise rpc.ProtocolError(rpc.INVALID_PARAMS, f"{request.method}: {error}") from None
        return await handler(params, connection)

    def _refuse_agents(self, method: str, connection: Connection) -> None:
        """
        Raises `InsideRun` when the peer is an agent's process, `StorageError` when that cannot be seen now.
        """
        if connection.trusted:
            return
        try:
            refuse_peer(method, connection.peer, stops=METHODS[method].stops)
        except InsideRun as error:
            log.warning("rpc.agent_refused", method=method, pid=connection.peer, reason=error.message)
            raise
        except OSError as error:
            raise StorageError(f"{method}: who asks cannot be looked at now: {error.strerror}") from None
        # One that only has work stopped may be gone, and is not known by that.
        connection.trusted = not METHODS[method].stops


async def _guarded(work: Callable[..., Coroutine[Any, Any, None]], args: tuple[Any, ...]) -> None:
    try:
        await work(*args)
    except Exception:
        log.exception("rpc.work_failed", work=getattr(work, "__qualname__", repr(work)))
