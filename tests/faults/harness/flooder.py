"""
A client without manners: ``python flooder.py SOCKET SECONDS BURST BUSY`` holds ten connections, each with a burst of calls
under way all the time.  Prints how many calls it sent, how many were answered, how many of those with the code *BUSY*, and
how many twice or not at all.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

CONNECTIONS = 10


class Caller:
    """
    One connection: *seen* has a bit for each answer of the burst that is under way.
    """

    def __init__(self, path: str, calls: bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self._calls = calls
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


def main(path: str, seconds: str, burst: str, busy: str) -> None:
    size, code, end = int(burst), b'"code":' + busy.encode(), time.monotonic() + float(seconds)
    calls = b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"daemon.status"}\n' % n for n in range(size))
    watch = selectors.DefaultSelector()
    for _ in range(CONNECTIONS):
        caller = Caller(path, calls)
        watch.register(caller.socket, selectors.EVENT_READ, caller)
    sent = size * CONNECTIONS
    counts = [0, 0, 0]
    while watch.get_map():
        for key, _ in watch.select(30) or sys.exit("nothing comes back any more"):
            caller = key.data
            caller.take(code)
            if caller.answered < size:
                continue
            missing = size - caller.seen.bit_count()
            counts = [
                a + b for a, b in zip(counts, (caller.answered, caller.busy, caller.wrong + missing), strict=True)
            ]
            if time.monotonic() < end:
                caller.begin()
                sent += size
            else:
                watch.unregister(caller.socket)
                caller.socket.close()
    print(sent, *counts)


if __name__ == "__main__":
    main(*sys.argv[1:])
