"""
A gate for the agents' commands: a scripted ``python gate.py NAME`` reports that it runs, and stays until it is let go.

It stands for the long command of a real day; the test decides how long it takes, and sees at once when it dies.
"""

from __future__ import annotations

import socket
import threading
import time

COMMAND = """\
import os, socket, sys
host, port = os.environ["GATE"].split(":")
with socket.create_connection((host, int(port))) as link:
    link.sendall(f"{sys.argv[1]} {os.getpid()}\\n".encode())
    link.recv(1)
"""
"""``gate.py`` in the project: ends when it is let go, and when the test is gone."""


class Arrival:
    """
    One command that waits at the gate.
    """

    def __init__(self, name: str, pid: int, link: socket.socket) -> None:
        self.name = name
        self.pid = pid
        self._link = link

    def release(self) -> None:
        """
        Let it go on.
        """
        self._link.sendall(b"!")

    def gone(self, timeout: float = 60.0) -> bool:
        """
        True once its process has ended; False after *timeout* seconds.
        """
        self._link.settimeout(timeout)
        try:
            return self._link.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        """
        Let it go, whatever it is doing.
        """
        self._link.close()


class Gate:
    """
    Listens on loopback.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._news = threading.Condition()
        self._arrived: list[Arrival] = []
        self._taken: set[Arrival] = set()
        self._closing = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def arrive(self, *names: str, timeout: float = 60.0) -> Arrival:
        """
        The next command that waits under one of *names* (under any, when none is given) and was not given before.
        """
        end = time.monotonic() + timeout
        with self._news:
            while True:
                for arrival in self._arrived:
                    if arrival not in self._taken and (not names or arrival.name in names):
                        self._taken.add(arrival)
                        return arrival
                left = end - time.monotonic()
                if left <= 0:
                    came = ", ".join(a.name for a in self._arrived) or "nobody"
                    raise TimeoutError(f"nobody came to the gate as {names} within {timeout:.0f} s; there was {came}")
                self._news.wait(left)

    @property
    def names(self) -> list[str]:
        """
        Who came so far, in order.
        """
        with self._news:
            return [arrival.name for arrival in self._arrived]

    def close(self) -> None:
        """
        Let everybody go.
        """
        self._closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for arrival in self._arrived:
            arrival.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                link, _ = self._listener.accept()
                name, pid = link.makefile("r").readline().split()
            except (OSError, ValueError):
                continue  # closing, or a command that died before it said its name
            with self._news:
                self._arrived.append(Arrival(name, int(pid), link))
                self._news.notify_all()
