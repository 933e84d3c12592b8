"""
What does it cost, and what does it give, to take a client's lines a few at a time?

One server with a handler that answers at once, ten clients that keep a burst of calls under way, and a polite one that asks,
waits and asks again.  The number of lines a turn is varied in the same run, round by round; for each the calls answered a
second and the polite client's 99th percentile are printed, as medians of the rounds and beside those of one whole burst a
turn.  Clients are processes of their own.  Run: ``python benchmarks/turns.py [--rounds 5] [--seconds 1.5]``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from pathlib import Path

import anyio

from orchestrd.edges import connection
from orchestrd.edges.rpc import Server
from orchestrd.protocol import api

CLIENTS = 10
BURST = 200
TURNS = (1, 4, 8, 32, BURST)


def call(number: int) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "daemon.status"}).encode() + b"\n"


def flood(path: str, end: float, found: multiprocessing.Queue) -> None:
    burst, answered = b"".join(map(call, range(BURST))), 0
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        while time.monotonic() < end:
            link.sendall(burst)
            left = BURST
            while left:
                left -= link.recv(1 << 18).count(b"\n")
            answered += BURST
    found.put(("flood", answered))


def polite(path: str, end: float, found: multiprocessing.Queue) -> None:
    took = []
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        while time.monotonic() < end:
            began = time.monotonic()
            link.sendall(call(1))
            while not link.recv(1 << 16).endswith(b"\n"):
                pass
            took.append(time.monotonic() - began)
    found.put(("polite", sorted(took)[int(len(took) * 0.99)]))


async def status(_params, _connection):
    return api.DaemonStatus(pid=1, started_at="", version="0")


def serve(path: str, lines: int) -> None:
    connection.LINES_A_TURN = lines
    anyio.run(Server(Path(path), {"daemon.status": status}).run, backend_options={"use_uvloop": True})


def measure(lines: int, seconds: float) -> tuple[float, float]:
    """
    Calls answered a second, and the polite client's 99th percentile in milliseconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/run/x.sock"
        server = multiprocessing.Process(target=serve, args=(path, lines), daemon=True)
        server.start()
        while not Path(path).exists():
            time.sleep(0.01)
        found: multiprocessing.Queue = multiprocessing.Queue()
        end = time.monotonic() + seconds
        clients = [multiprocessing.Process(target=flood, args=(path, end, found)) for _ in range(CLIENTS)]
        clients.append(multiprocessing.Process(target=polite, args=(path, end, found)))
        for client in clients:
            client.start()
        results = [found.get(timeout=60) for _ in clients]
        for client in clients:
            client.join()
        server.kill()
        server.join()
    answered = sum(value for kind, value in results if kind == "flood")
    return answered / seconds, 1000 * next(value for kind, value in results if kind == "polite")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    arguments = parser.parse_args()
    found: dict[int, list[tuple[float, float]]] = {lines: [] for lines in TURNS}
    for _ in range(arguments.rounds):
        for lines in TURNS:
            found[lines].append(measure(lines, arguments.seconds))
    print("lines a turn   calls/s   beside a whole burst   polite p99   beside a whole burst")
    for lines, pairs in found.items():
        whole = found[BURST]
        rate = statistics.median(a / b for (a, _), (b, _) in zip(pairs, whole, strict=True))
        late = statistics.median(a / b for (_, a), (_, b) in zip(pairs, whole, strict=True))
        calls, p99 = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{lines:12} {calls:9,.0f} {rate:22.2f} {p99:9.1f} ms {late:22.2f}")


if __name__ == "__main__":
    main()
