"""
The only way out of a sandbox: a proxy beside a run's shim that reaches the model's API and the hosts it was told of, and no other.

Standard library only, started by the shim as ``python -I -S gateway.py`` in the run's directory.  Its orders come on stdin as
one JSON object (`Orders`), so that a key is neither in its environment nor on its command line; it answers one line on
stdout, ``ready PORT`` (0 for a socket in the file system), and serves until its shim is gone and no process of the agent holds
``agent.lock`` any more.  It belongs to the run and not to the daemon because the agent outlives the daemon.

Three kinds of requests (RFC 9110, 9112) are answered:

* ``CONNECT host:port`` and ``GET http://host/…``: through to a host on the list, else 403;
* ``POST /v1/messages``, any path of its own: to the API, and of it only what an agent needs (`NEEDED`): the same key may read and
  change much else of its owner's, and another's key take what the agent has read.  So the caller must show the run's own credential
  where one is known.  With a key to keep that is the run's token, and the key takes its place; it is taken out of what the API
  answers (`veil`).  Nothing more once the run is to stop (`SHUT`).

One request a connection: what comes after it on the same one reaches nobody that it was not meant for.  A head that two readers
could read as two different ones is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import socket
import ssl
import sys
import threading
from urllib.parse import urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from orchestrd.runner.veil import Answer, Unclear

    class Orders(TypedDict):
        """
        *listen* is ``tcp`` (a free port on loopback) or the name of a socket to make here; *base* the API's URL; *hosts*
        ``name``, ``*.domain`` or ``name:port``; *header* where a credential belongs (``x-api-key`` or ``authorization``), *token*
        what the agent shows there and *value* what the API is shown instead, all empty where the agent has its own; *own* says
        then what that is, header → credential, as far as it is known; *hidden* are forms of *value* that no answer shows; *ca* a
        file of further certificates to trust, or empty.
        """

        listen: str
        base: str
        hosts: list[str]
        header: str
        token: str
        value: str
        own: dict[str, str]
        hidden: list[str]
        ca: str

else:
    # Its part, found by path: nothing of the package is loaded.
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    from veil import Answer, Unclear

HEAD_LIMIT = 64 * 1024
"""Bytes of a request's head."""
CHUNK = 65536
CONNECT_SECONDS = 20.0
HEAD_SECONDS = 60.0
WEB_PORTS = (80, 443)
"""What a host that is listed without a port is reached at."""
AGENT_LOCK = "agent.lock"
SHUT = "shut"
"""There once the run is to stop."""
NEEDED = re.compile(
    r"POST /v1/messages(?:/count_tokens)?|GET /v1/models(?:/[A-Za-z0-9._:-]+)?|(?:GET|HEAD) /api/hello", re.ASCII
)
"""What Claude Code (2.1.330) asks the API for on an agent's behalf."""
ONCE = ("content-length", "transfer-encoding", "host", "x-api-key", "authorization")
NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name: RFC 9110, section 5.6.2."""


class Refusal(Exception):
    """
    Why a request is not passed on: an HTTP status and a sentence.
    """

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status


def allowed(host: str, port: int, hosts: list[str]) -> bool:
    """
    True when *hosts* has an entry for it.
    """
    host = host.lower().rstrip(".")
    for entry in hosts:
        name, sign, number = entry.lower().partition(":")
        if (number != str(port)) if sign else (port not in WEB_PORTS):
            continue
        if name == host or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False


def target(words: list[str], hosts: list[str]) -> tuple[str, int, str] | None:
    """
    ``(host, port, path)`` that a request line, split into *words*, asks a proxy for, *path* empty for a tunnel; None for a
    path of our own.

    Raises `Refusal`.
    """
    if len(words) != 3:
        raise Refusal("400 Bad Request", "no request line")
    method, where, _ = words
    try:
        if method == "CONNECT":
            host, _, number = where.rpartition(":")
            host, port, path = host.strip("[]"), int(number), ""
        elif where.startswith("/"):
            return None
        else:
            parts = urlsplit(where)
            host, port, path = parts.hostname or "", parts.port or 80, parts.path or "/"
            path += f"?{parts.query}" if parts.query else ""
            if parts.scheme != "http":
                raise Refusal("400 Bad Request", "only http:// is asked for by its whole address")
    except ValueError:
        raise Refusal("400 Bad Request", "no address") from None
    if not allowed(host, port, hosts):
        raise Refusal("403 Forbidden", f"{host}:{port} is not among the hosts that agents may reach (agent.hosts)")
    return host, port, path


def unmistakable(head: bytes) -> None:
    """
    Raises `Refusal` for a *head* that another reader might take for another one (RFC 9112, sections 2.2, 5.1 and 6.1).
    """
    lines = head.split(b"\r\n")
    names = [line.partition(b":")[0] for line in lines[1:]]
    known = [name.decode("latin-1").lower() for name in names]
    if (
        any(sign in line for line in lines for sign in (b"\r", b"\n", b"\0"))
        or not all(map(NAME.fullmatch, names))
        or any(known.count(name) > 1 for name in ONCE)
        or ("content-length" in known and "transfer-encoding" in known)
    ):
        raise Refusal("400 Bad Request", "the head of the request is not clear")


def rewritten(head: bytes, first: str, host: str, orders: Orders | None) -> bytes:
    """
    The request's *head* with *first* as its first line, for *host*, closed after one answer; with *orders* that have a
    credential, that one in place of the token.

    Raises `Refusal` when the token is not shown.
    """
    lines = head.split(b"\r\n")[1:]
    kept = [first.encode("latin-1"), b"Host: " + host.encode("latin-1"), b"Connection: close"]
    own = {"host", "connection", "proxy-connection", "keep-alive", "proxy-authorization", "upgrade", "http2-settings"}
    keeps = orders is not None and bool(orders["header"])
    # An answer that is packed could not be looked through.
    own |= {"accept-encoding", "te"} if keeps else set()
    shown: dict[str, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        word = name.decode("latin-1").strip().lower()
        if word in ("x-api-key", "authorization"):
            shown[word] = value.strip()
            if keeps:
                continue
        if line and word not in own:
            kept.append(line)
    if orders is not None and not _known(shown, orders):
        raise Refusal("403 Forbidden", "the credential is not this run's")
    if orders is not None and keeps:
        kept.append(orders["header"].encode() + b": " + _as_shown(orders["header"], orders["value"]))
        kept.append(b"Accept-Encoding: identity")
    return b"\r\n".join(kept) + b"\r\n\r\n"


def _known(shown: dict[str, bytes], orders: Orders) -> bool:
    """
    True when what is *shown* is the run's own, or nobody knows what that is.
    """
    if orders["header"]:
        return shown.get(orders["header"]) == _as_shown(orders["header"], orders["token"])
    own = {header: _as_shown(header, value) for header, value in orders.get("own", {}).items()}
    return not own or (bool(shown) and all(own.get(header) == value for header, value in shown.items()))


def _as_shown(header: str, value: str) -> bytes:
    return (f"Bearer {value}" if header == "authorization" else value).encode("latin-1")


class Gateway:
    """
    Serves connections, a thread each.
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        base = urlsplit(orders["base"])
        self._tls = base.scheme == "https"
        self._host = base.hostname or ""
        self._port = base.port or (443 if self._tls else 80)
        self._authority = base.netloc.rpartition("@")[2]
        self._prefix = base.path.rstrip("/")
        self._context = ssl.create_default_context() if self._tls else None
        if self._context is not None and orders["ca"]:
            with contextlib.suppress(OSError, ssl.SSLError):
                self._context.load_verify_locations(orders["ca"])
        if orders["listen"] == "tcp":
            self._listener = socket.create_server(("127.0.0.1", 0))
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(orders["listen"])
            self._listener.bind(orders["listen"])
            self._listener.listen(128)

    @property
    def port(self) -> int:
        """
        Where it listens on loopback; 0 for a socket in the file system.
        """
        return int(self._listener.getsockname()[1]) if self._listener.family == socket.AF_INET else 0

    def serve(self) -> None:
        """
        Take connections for ever.
        """
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                continue
            threading.Thread(target=self._handle, args=(link,), daemon=True).start()

    def _handle(self, link: socket.socket) -> None:
        veiled: Answer | None = None
        with link:
            try:
                link.settimeout(HEAD_SECONDS)
                head, rest = read_head(link)
                upstream, veiled = self._open(link, head)
                link.settimeout(None)
                with upstream:
                    upstream.settimeout(None)
                    if rest:
                        upstream.sendall(rest)
                    join(link, upstream, veiled)
            except Unclear as error:
                # Else it ends in its middle, which is no answer either.
                if veiled is not None and not veiled.begun:
                    with contextlib.suppress(OSError):
                        answer(link, "502 Bad Gateway", f"the answer is not passed on: {error}")
            except Refusal as refusal:
                with contextlib.suppress(OSError):
                    answer(link, refusal.status, str(refusal))
            except OSError as error:
                with contextlib.suppress(OSError):
                    answer(link, "502 Bad Gateway", f"it cannot be reached: {error}")

    def _open(self, link: socket.socket, head: bytes) -> tuple[socket.socket, Answer | None]:
        """
        The connection on which the request is already, without its body; and what its answer goes through, if anything.
        """
        unmistakable(head)
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        found = target(words, self._orders["hosts"])
        if found is None:
            asked = f"{words[0]} {words[1].partition('?')[0]}"
            if not NEEDED.fullmatch(asked):
                raise Refusal("403 Forbidden", f"{asked} is not what an agent needs of the API")
            if self._orders["header"] and os.path.lexists(SHUT):
                raise Refusal("403 Forbidden", "the run is to stop: nothing more is asked of the API")
            first = f"{words[0]} {self._prefix}{words[1]} HTTP/1.1"
            request = rewritten(head, first, self._authority, self._orders)
            upstream = socket.create_connection((self._host, self._port), CONNECT_SECONDS)
            if self._context is not None:
                upstream = self._context.wrap_socket(upstream, server_hostname=self._host)
            upstream.sendall(request)
            hidden = [form.encode("utf-8", "surrogatepass") for form in self._orders.get("hidden", ())]
            return upstream, Answer(words[0], hidden) if hidden else None
        host, port, path = found
        upstream = socket.create_connection((host, port), CONNECT_SECONDS)
        if path:
            upstream.sendall(rewritten(head, f"{words[0]} {path} HTTP/1.1", f"{host}:{port}", None))
        else:
            link.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return upstream, None


def read_head(link: socket.socket) -> tuple[bytes, bytes]:
    """
    A request's head without its last, empty line, and what came after it.

    Raises `Refusal` for one that is too long or cut off, `OSError`.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        more = link.recv(CHUNK)
        if not more or len(data) > HEAD_LIMIT:
            raise Refusal("400 Bad Request", "no whole head of a request")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def answer(link: socket.socket, status: str, why: str) -> None:
    """
    Refuse in words.
    """
    body = f"{why}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    link.sendall(head.encode() + body)


def join(client: socket.socket, upstream: socket.socket, veiled: Answer | None = None) -> None:
    """
    Pass on what comes on either, until *upstream* has said all, or one is broken; what it says goes through *veiled*.

    One thread for both: one TLS connection is not for two of them.  Raises `Unclear`, `OSError`.
    """
    talking = {client, upstream}
    while upstream in talking:
        for source in _ready(talking):
            sink = client if source is upstream else upstream
            data = _received(source)
            if data is None:
                continue
            if source is upstream and veiled is not None:
                data, closed = veiled.take(data) if data else veiled.end(), not data
            else:
                closed = not data
            if data:
                sink.sendall(data)
            if not closed:
                continue
            talking.discard(source)
            # TLS has no connection that is closed one way only.
            if sink is upstream and not isinstance(sink, ssl.SSLSocket):
                sink.shutdown(socket.SHUT_WR)


def _received(link: socket.socket) -> bytes | None:
    """
    What has come, empty at the end; None when it was nothing to pass on: a TLS peer says things of its own at any time (RFC 8446,
    section 4.6), and to wait for more would keep the other side from being heard.
    """
    link.setblocking(False)
    try:
        return link.recv(CHUNK)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None
    finally:
        link.setblocking(True)


def _ready(links: set[socket.socket]) -> list[socket.socket]:
    """
    Those of which something can be read, waiting for one.
    """
    held: list[socket.socket] = [link for link in links if isinstance(link, ssl.SSLSocket) and link.pending()]
    if held:
        return held
    poll = select.poll()
    numbers = {link.fileno(): link for link in links}
    for number in numbers:
        poll.register(number, select.POLLIN)
    return [numbers[number] for number, _ in poll.poll()]


def main() -> None:
    """
    Read the orders, serve, and leave with the run.
    """
    os.umask(0o077)
    orders: Orders = json.loads(sys.stdin.buffer.readline())
    gateway = Gateway(orders)
    sys.stdout.write(f"ready {gateway.port}\n")
    sys.stdout.flush()
    threading.Thread(target=gateway.serve, daemon=True).start()
    # The shim never writes again: this ends with it.
    sys.stdin.buffer.read()
    # An agent whose shim died may finish its turn; once nothing of it is left, this is free.
    lock = os.open(AGENT_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_SH)
    os._exit(0)


if __name__ == "__main__":
    main()
