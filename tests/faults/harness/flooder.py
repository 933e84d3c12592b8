"""
A client without manners: ``python flooder.py SOCKET SECONDS BURST BUSY WAIT`` holds ten connections, each with a burst of
calls under way all the time; on two of them they begin with more calls that wait, *WAIT* seconds, than may be under way.
Prints how many calls it sent, how many were answered, how many of those with the code *BUSY*, on the two and on the others,
and how many twice or not at all.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

CONNECTIONS = 10
PATIENT = 2
"""Connections whose bursts begin with calls that wait."""
WAITS = 300
WAIT = b'{"jsonrpc":"2.0","id":%d,"method":"task.wait","params":{"timeout":%s}}\n'
CALL = b'{"jsonrpc":"2.0","id":%d,"method":"daemon.status"}\n'


class Caller:
    """
    One connection: *seen* has a bit for each answer of the burst that is under way.
    """

    def __init__(self, path: str, calls: bytes, *, patient: bool) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self._calls = calls
        self.patient = patient
        self.begin()

    def begin(self) -> None:
        self.held, self.answered, self.seen, self.busy, self.wrong = b"", 0, 0, 0, 0
        self.socket.sendall(self._calls)

    def take(self, busy: bytes) -> None:
        data = self.socket.recv(1 << 18)
        if not data:
            sys.exit("hung up on")
        *lines, self.held = (self.held + data).split(b"\n")
        for line in lines:
            number = int(line[line.index(b'"id":') + 5 :].split(b",", 1)[0])
            self.wrong += self.seen >> number & 1
            self.seen |= 1 << number
            self.busy += busy in line
        self.answered += len(lines)


def main(path: str, seconds: str, burst: str, busy: str, wait: str) -> None:
    size, code, end = int(burst), b'"code":' + busy.encode(), time.monotonic() + float(seconds)
    watch = selectors.DefaultSelector()
    for number in range(CONNECTIONS):
        waits = WAITS if number < PATIENT else 0
        calls = b"".join(WAIT % (n, wait.encode()) if n < waits else CALL % n for n in range(size))
        caller = Caller(path, calls, patient=waits > 0)
        watch.register(caller.socket, selectors.EVENT_READ, caller)
    sent = size * CONNECTIONS
    counts = [0, 0, 0, 0]
    while watch.get_map():
        for key, _ in watch.select(30) or sys.exit("nothing comes back any more"):
            caller = key.data
            caller.take(code)
            if caller.answered < size:
                continue
            missing = size - caller.seen.bit_count()
            refused = (caller.busy, 0) if caller.patient else (0, caller.busy)
            found = (caller.answered, *refused, caller.wrong + missing)
            counts = [a + b for a, b in zip(counts, found, strict=True)]
            if time.monotonic() < end:
                caller.begin()
                sent += size
            else:
                watch.unregister(caller.socket)
                caller.socket.close()
    print(sent, *counts)


if __name__ == "__main__":
    main(*sys.argv[1:])
