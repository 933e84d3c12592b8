"""
Inside a sandbox without a network: a port on loopback that leads to the run's gateway, and then the agent itself.

Standard library only, started as ``python -I -S bridge.py SOCKET PORT COMMAND…``.  This process becomes *COMMAND*; a child of
it passes on what comes to 127.0.0.1:*PORT* to the unix socket at *SOCKET*, and ends with it.  It knows nothing of what it passes
on: what may pass is the gateway's to say, outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading

CHUNK = 65536
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
NAME = b"orchestrd-gate"
"""What it is called in the process table: at most 15 bytes (prctl(2))."""


def main() -> None:
    """
    Listen, then become the command.
    """
    path, port, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    listener = socket.create_server(("127.0.0.1", port))
    parent = os.getpid()
    if os.fork():
        listener.close()
        os.execvp(command[0], command)  # noqa: S606
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NAME, NAME, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
    os.setsid()
    # Nothing of the agent's: neither its output nor the lock by which its life is told.
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    number = listener.fileno()
    os.closerange(3, number)
    os.closerange(number + 1, os.sysconf("SC_OPEN_MAX"))
    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            continue
        threading.Thread(target=_lead, args=(link, path), daemon=True).start()


def _lead(link: socket.socket, path: str) -> None:
    with link, socket.socket(socket.AF_UNIX) as way:
        try:
            way.connect(path)
        except OSError:
            return
        back = threading.Thread(target=_pass_on, args=(way, link), daemon=True)
        back.start()
        _pass_on(link, way)
        back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for link in (source, sink):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
