"""
A gateway before the rehearsal model: by the hour of a `VirtualClock` it lets requests through after a while, or fails them as a
service in trouble does; and it counts them.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from kit.virtual import VirtualClock

from orchestrd.rehearsal.conversation import Conversation, read_request

_LOOK = 0.02
"""Seconds between two looks whether an answer is due, and whether anybody still waits for it."""


class Kind(StrEnum):
    """
    What a service in trouble says.
    """

    WINDOW = "window"
    OVERLOADED = "overloaded"
    UNAUTHORIZED = "unauthorized"


class Trouble(NamedTuple):
    """
    *kind* from *begin* to before *end*, wall seconds.
    """

    begin: float
    end: float
    kind: Kind


class Asked(NamedTuple):
    """
    A request: when (wall seconds), for which session, and what it met, None for an answer.
    """

    at: float
    session: str
    met: Trouble | None


class Gateway:
    """
    Stands before *model*, a base URL.  *think* gives the seconds that an answer takes.
    """

    def __init__(
        self, model: str, clock: VirtualClock, troubles: Sequence[Trouble], think: Callable[[Conversation], float]
    ) -> None:
        self._model, self._clock, self._think = model, clock, think
        self.troubles = troubles
        self._lock = threading.Lock()
        self._asked: list[Asked] = []
        self._minutes: Counter[int] = Counter()
        self._met: Counter[Trouble] = Counter()
        self._held: dict[str, float] = {}
        gateway = self

        class Handler(_Handler):
            def do_POST(self) -> None:
                gateway._answer(self)

            do_GET = do_HEAD = do_POST  # noqa: N815 - their names are given

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def asked(self) -> list[Asked]:
        """
        Every request so far, in order.
        """
        with self._lock:
            return list(self._asked)

    @property
    def held(self) -> dict[str, float]:
        """
        The sessions that wait for an answer, and when (wall seconds) it is due.
        """
        with self._lock:
            return dict(self._held)

    @property
    def minutes(self) -> Counter[int]:
        """
        How many requests there were in each minute, counted from 1970.
        """
        with self._lock:
            return self._minutes.copy()

    @property
    def busiest(self) -> int:
        """
        The most requests of a minute.
        """
        with self._lock:
            return max(self._minutes.values(), default=0)

    @property
    def met(self) -> Counter[Trouble]:
        """
        How many requests met each trouble.
        """
        with self._lock:
            return self._met.copy()

    def trouble(self, at: float) -> Trouble | None:
        """
        What is the matter at wall time *at*.
        """
        return next((trouble for trouble in self.troubles if trouble.begin <= at < trouble.end), None)

    def _answer(self, peer: _Handler) -> None:
        body = peer.rfile.read(int(peer.headers.get("content-length", 0)))
        if peer.command != "POST" or peer.path.partition("?")[0] != "/v1/messages":
            self._pass(peer, body)
            return
        talk, now = read_request(body), self._clock.wall()
        trouble = self.trouble(now)
        due = now + self._think(talk)
        with self._lock:
            self._asked.append(Asked(now, talk.session, trouble))
            self._minutes[int(now // 60)] += 1
            if trouble is not None:
                self._met[trouble] += 1
            if trouble is None:
                self._held[talk.session] = due
        if trouble is not None:
            _fail(peer, trouble)
            return
        try:
            while self._clock.wall() < due:
                if _hung_up(peer.connection):
                    # Nobody is billed for what was never asked of the model.
                    peer.close_connection = True
                    return
        finally:
            with self._lock:
                del self._held[talk.session]
        self._pass(peer, body)

    def _pass(self, peer: _Handler, body: bytes) -> None:
        kept = {name: value for name, value in peer.headers.items() if name.lower() not in _HOP}
        request = urllib.request.Request(
            f"{self._model}{peer.path}", data=body or None, headers=kept, method=peer.command
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            peer.give(reply.status, dict(reply.headers), reply.read())


_HOP = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def give(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _hung_up(link: socket.socket) -> bool:
    """
    True when the other side has gone; looks for a moment.
    """
    if not select.select([link], [], [], _LOOK)[0]:
        return False
    try:
        return link.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def _fail(peer: _Handler, trouble: Trouble) -> None:
    status, kind, message, headers = {
        Kind.WINDOW: (
            429,
            "rate_limit_error",
            "This request would exceed your account's rate limit.",
            {
                "x-should-retry": "false",
                "anthropic-ratelimit-unified-status": "rejected",
                "anthropic-ratelimit-unified-reset": str(int(trouble.end)),
                "anthropic-ratelimit-unified-representative-claim": "five_hour",
            },
        ),
        Kind.OVERLOADED: (529, "overloaded_error", "Overloaded", {}),
        Kind.UNAUTHORIZED: (401, "authentication_error", "Invalid authentication credentials", {}),
    }[trouble.kind]
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    peer.give(status, {"content-type": "application/json", "request-id": "req_trouble", **headers}, body)
