"""
The daemon's methods as blocking calls, and its journal as a stream of facts.

A write carries a ``request_id`` made here, so a call whose connection broke before the reply is made once more with the
same id: the daemon acts once.  Reads change nothing and are made again too; ``daemon.stop`` never is, because a broken
connection is what success may look like.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from orchctl.failures import Failed, Misuse, Remote, Unreachable
from orchctl.wire import LostError, Wire
from orchestrd.address import LOCK_FILE, holder
from orchestrd.protocol import api, jsonrpc

REPLY_SECONDS = 120.0
"""How long a call waits for its reply by default: applying a large change is the slowest."""
LOOK_SECONDS = 5.0
"""How long someone waits who only asks which daemon serves: an answer that takes longer is one."""
WORD_SECONDS = 3.0
"""After so long a person at a terminal is told what is waited for."""
OUTLAST_SECONDS = 30.0
"""How long someone who only watches bears with a daemon that is being restarted."""

DOUBT_SECONDS = 10.0
"""How long a write whose reply was lost is asked for again: a service manager has another daemon up within a few."""
_RETRY_SECONDS = 0.1
_LASTING = frozenset(("task.wait",))
"""Calls whose reply comes when something has happened: their silence says nothing."""
_STATUS = {jsonrpc.INVALID_PARAMS: 2}
_notification = msgspec.json.Decoder(jsonrpc.Notification)
_record = msgspec.json.Decoder(api.EventRecord)
ValueT = TypeVar("ValueT")


class Client:
    """
    Calls to the daemon that listens on *path*; connects at the first one, and again after a connection is lost.  Of one that does
    not answer the process is named that holds *home*.
    """

    def __init__(self, path: Path, home: Path | None = None) -> None:
        self.path = path
        self._home = home
        self._wire: Wire | None = None
        self._calls = 0

    def close(self) -> None:
        """
        Hang up; a later call connects again.
        """
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def call(
        self,
        method: str,
        params: api.Params | None = None,
        *,
        timeout: float | None = REPLY_SECONDS,
        outlast: float = 0.0,
    ) -> Any:
        """
        The result of *method*, as the Struct that `api.METHODS` names.

        *timeout*: seconds to wait for the reply, None for ever.  *outlast*: seconds to go on trying while the daemon is
        away, once the connection was lost; a write, which may have happened, is tried for `DOUBT_SECONDS` at least.  Raises `Remote` for the daemon's errors, `Unreachable`, `Misuse` for a call
        that is too long to send.
        """
        if isinstance(params, api.Write) and params.request_id is None:
            params = msgspec.structs.replace(params, request_id=str(uuid.uuid4()))
        if isinstance(params, api.Write):
            outlast = max(outlast, DOUBT_SECONDS)

        def once() -> Any:
            return self._exchange(method, params or api.Nothing(), timeout)

        try:
            return once()
        except LostError as error:
            if method == "daemon.stop":
                raise Unreachable(f"the daemon hung up before it answered: {error}") from None
        return patiently(once, outlast)

    def subscribe(self, since: int | None = None, *, outlast: float = OUTLAST_SECONDS) -> Subscription:
        """
        The facts above *since* (from now on, when None), as they come.
        """
        return Subscription(self.path, since, outlast, self._home)

    def _exchange(self, method: str, params: api.Params, timeout: float | None) -> Any:
        self._calls += 1
        line = jsonrpc.request_line(self._calls, method, params)
        if len(line) > jsonrpc.MAX_LINE:
            raise Misuse(
                f"{method}: {len(line)} bytes are too many for one call; at most {jsonrpc.MAX_LINE}",
                hint="Name a file by its path instead of sending its text.",
            )
        if self._wire is None:
            self._wire = Wire(self.path)
        try:
            self._wire.send(line)
            word = None if method in _LASTING or not sys.stderr.isatty() else self._tell_the_wait
            reply = _await_reply(self._wire, self._calls, timeout, self._home, word=word)
        except BaseException:
            # Whatever happened, a reply may still be on its way: this connection is of no more use.
            self.close()
            raise
        return _result(method, reply)

    def _tell_the_wait(self) -> None:
        sys.stderr.write(f"{_daemon(_holder(self._home))} has not answered yet; waiting\n")
        sys.stderr.flush()


class Subscription:
    """
    Facts of the journal as they come; *last* is the number of the newest one seen.

    A gap, or a connection that broke, is mended by subscribing again from *last*: no fact is missed, none comes twice.
    """

    def __init__(self, path: Path, since: int | None, outlast: float, home: Path | None = None) -> None:
        self._path = path
        self._home = home
        self._outlast = outlast
        self._since = since
        self._wire: Wire | None = None
        self._early: deque[bytes] = deque()
        self.last = since or 0
        self._subscribe()

    def close(self) -> None:
        """
        Hang up.
        """
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def next(self, timeout: float | None = None) -> api.EventRecord | None:
        """
        The next fact; None when *timeout* seconds passed first.  Raises `Unreachable` when the daemon stays away.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            if self._wire is None:
                patiently(self._subscribe, self._outlast)
                continue
            try:
                line = self._early.popleft() if self._early else self._wire.receive(left)
            except LostError:
                self.close()
                continue
            if line is None:
                return None
            record = self._read(line)
            if record is not None:
                return record

    def __iter__(self) -> Iterator[api.EventRecord]:
        while (record := self.next()) is not None:
            yield record

    def _read(self, line: bytes) -> api.EventRecord | None:
        try:
            note = _notification.decode(line)
            if note.method == "gap":
                # Where to resume is known better here: every fact up to *last* has arrived.
                self.close()
                return None
            if note.method != "event":
                return None
            record = _record.decode(note.params)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Failed(f"the daemon sent what this client cannot read: {error}") from None
        if record.seq <= self.last:
            return None
        self.last = self._since = record.seq
        return record

    def _subscribe(self) -> None:
        self._early.clear()
        wire = Wire(self._path)
        try:
            wire.send(jsonrpc.request_line(1, "events.subscribe", api.Subscribe(since=self._since)))
            reply = _await_reply(wire, 1, REPLY_SECONDS, self._home, early=self._early)
            start: api.Subscribed = _result("events.subscribe", reply)
        except BaseException:
            wire.close()
            raise
        if self._since is None:
            self._since = self.last = start.seq
        self._wire = wire


def patiently(act: Callable[[], ValueT], outlast: float) -> ValueT:
    """
    The value of *act*, tried again for *outlast* seconds while the daemon is away.  Raises `Unreachable`.
    """
    end = time.monotonic() + outlast
    while True:
        try:
            return act()
        except (LostError, Unreachable) as error:
            if time.monotonic() >= end:
                if isinstance(error, Unreachable):
                    raise
                raise Unreachable(
                    f"the daemon went away before it answered: {error}",
                    hint="Repeat the command; whether it runs says: orchctl daemon status",
                ) from None
        time.sleep(_RETRY_SECONDS)


def way_out(pid: int) -> str:
    """
    What to do about the process *pid*, which holds a home and does not answer: it is starting, or hangs.
    """
    return (
        f"It is starting, or hangs. If it stays so: kill -9 {pid}, then: orchctl daemon start. "
        "Nothing is lost by it, agents go on. Its log: var/orchestrd.out"
    )


def _holder(home: Path | None) -> int | None:
    return None if home is None else holder(home / LOCK_FILE)


def _daemon(pid: int | None) -> str:
    return "the daemon" if pid is None else f"the daemon (process {pid})"


def _await_reply(
    wire: Wire,
    call: int,
    timeout: float | None,
    home: Path | None,
    *,
    early: deque[bytes] | None = None,
    word: Callable[[], None] | None = None,
) -> jsonrpc.Response:
    """
    The reply to *call*, waited for *timeout* seconds; lines that come before it are put into *early*.  Once it has taken
    `WORD_SECONDS`, *word* is called.
    """
    began = time.monotonic()
    while True:
        limits = [limit for limit in (timeout, None if word is None else WORD_SECONDS) if limit is not None]
        waited = time.monotonic() - began
        line = wire.receive(max(0.0, min(limits) - waited) if limits else None)
        if line is None:
            if word is not None and (timeout is None or timeout > WORD_SECONDS):
                word()
                word = None
                continue
            pid = _holder(home)
            hint = "Its log: var/orchestrd.out" if pid is None else way_out(pid)
            raise Unreachable(f"{_daemon(pid)} did not answer within {timeout:g} s", hint=hint)
        try:
            reply = jsonrpc.decode_response(line)
        except jsonrpc.ProtocolError as error:
            raise Failed(f"the daemon sent what this client cannot read: {error}") from None
        # A reply without an id answers a line that the daemon could not read: ours.
        failed = reply.error is not msgspec.UNSET
        if reply.id == call or (reply.id is None and failed):
            return reply
        if early is not None:
            early.append(line)


def _result(method: str, reply: jsonrpc.Response) -> Any:
    error = reply.error
    if isinstance(error, jsonrpc.ErrorObject):
        data = error.data or {}
        status, hint = data.get("exit_status"), data.get("hint")
        raise Remote(
            error.message,
            code=error.code,
            status=status if isinstance(status, int) else _STATUS.get(error.code, 4),
            hint=hint if isinstance(hint, str) else "",
        )
    if not isinstance(reply.result, msgspec.Raw):
        raise Failed(f"{method}: the daemon's reply holds neither a result nor an error")
    try:
        return msgspec.json.decode(reply.result, type=api.METHODS[method].result)
    except msgspec.DecodeError as problem:
        raise Failed(
            f"{method}: the daemon's reply has another shape than expected: {problem}",
            hint="Daemon and client may be of different versions: orchctl daemon restart",
        ) from None
