"""
The control socket: accept, check the peer, answer each request line with one line.

It knows JSON-RPC and limits; what a method does is the handlers' business.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the server of a Protocol; everything else is anyio
import os
import socket
import stat
import struct
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskGroup, TaskStatus

from orchestrd.edges.connection import Connection
from orchestrd.errors import OrchestrdError, StorageError
from orchestrd.failpoint import failpoint
from orchestrd.logs import get_logger
from orchestrd.protocol import jsonrpc as rpc
from orchestrd.protocol.api import METHODS
from orchestrd.storage.home import private_folder

log = get_logger(__name__)
MAX_CONNECTIONS = 64
_KEEP: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""From Python 3.13 on a server removes its path by itself, also one that is not ours."""
_UCRED = struct.Struct("3i")
_PARAMS = {name: msgspec.json.Decoder(method.params) for name, method in METHODS.items()}

Handler = Callable[[Any, Connection], Awaitable[Any]]


class Server:
    """
    Listens on one path for this user only.
    """

    def __init__(self, path: Path, handlers: dict[str, Handler], listener: socket.socket | None = None) -> None:
        """
        *listener* listens on *path* already, and somebody else looks after the path.
        """
        self._path = path
        self._listener = listener
        self._handlers = handlers
        self._connections: set[Connection] = set()
        self._group: TaskGroup | None = None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Serve until cancelled.  The home lock must be held: whatever lies at the path is a dead daemon's.

        Raises `StorageError` when the path cannot be bound.
        """
        failpoint("home.adopted.before_bind")
        listener = self._listener or bind(self._path)
        loop = asyncio.get_running_loop()
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                server = await loop.create_unix_server(self._connect, sock=listener, **_KEEP)
                task_status.started()
                failpoint("rpc.listening")
                try:
                    await anyio.sleep_forever()
                finally:
                    # What still comes is not taken any more: the connections are hung up on.
                    self._group = None
                    server.close()
                    for connection in list(self._connections):
                        connection.close()
        finally:
            if self._listener is None:
                self._path.unlink(missing_ok=True)

    def _connect(self) -> Connection:
        return Connection(self)

    def admit(self, connection: Connection, peer: socket.socket) -> bool:
        """
        True when the peer is this user and there is room.
        """
        if len(self._connections) >= MAX_CONNECTIONS:
            return False
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        _, uid, _ = _UCRED.unpack(credentials)
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
            data = {"hint": error.hint, "exit_status": error.exit_status}
            reply = rpc.error_line(number, rpc.ErrorObject(code=error.rpc_code, message=error.message, data=data))
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
        try:
            raw = b"{}" if request.params is msgspec.UNSET else bytes(request.params)
            params = _PARAMS[request.method].decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise rpc.ProtocolError(rpc.INVALID_PARAMS, f"{request.method}: {error}") from None
        return await handler(params, connection)


async def _guarded(work: Callable[..., Coroutine[Any, Any, None]], args: tuple[Any, ...]) -> None:
    try:
        await work(*args)
    except Exception:
        log.exception("rpc.work_failed", work=getattr(work, "__qualname__", repr(work)))


def bind(path: Path) -> socket.socket:
    """
    A listening socket at *path*, private from its birth.

    Raises `StorageError` when something that is no socket of ours lies there.
    """
    private_folder(path.parent)
    try:
        found = path.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            raise StorageError(f"{path}: something that is no socket of this user lies there", hint="Remove it.")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise StorageError(f"{path}: cannot listen: {error.strerror}") from error
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener
