"""
Many daemons at once: ``python crowd.py HOME COUNT`` starts COUNT daemons on the home HOME in the same moment, as processes
of their own that have loaded everything beforehand, and prints a JSON line for each round of it: the exit status, what it
said and how long it took of every one that ended, and the process id of the one that serves.  A line on stdin ends that one
(by SIGKILL for ``kill``, else by SIGTERM) and begins the next round; the end of stdin ends it all.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time

from orchestrd.__main__ import main as daemon


def one(home: str, go: int, said: int) -> None:
    """
    One daemon, as soon as *go* is closed; what it says goes to the file *said*.
    """
    os.dup2(said, 2)
    os.setsid()
    os.read(go, 1)
    code = 70
    try:
        code = daemon(["--home", home])
    finally:
        sys.stderr.flush()
        os._exit(code)


def crowd(home: str, count: int) -> tuple[list[dict[str, object]], int]:
    """
    One round: who ended, and who is left.
    """
    go, hold = os.pipe()
    files = [tempfile.TemporaryFile() for _ in range(count)]  # noqa: SIM115 - closed below
    pids = []
    for file in files:
        pid = os.fork()
        if pid == 0:
            os.close(hold)
            one(home, go, file.fileno())
        pids.append(pid)
    os.close(go)
    began = time.monotonic()
    os.close(hold)
    ended = []
    left = dict(zip(pids, files, strict=True))
    while len(left) > 1:
        pid, status = os.wait()
        file = left.pop(pid)
        file.seek(0)
        entry = {"code": os.waitstatus_to_exitcode(status), "said": file.read().decode("utf-8", "replace")}
        ended.append({**entry, "pid": pid, "seconds": time.monotonic() - began})
        file.close()
    ((pid, file),) = left.items()
    file.close()
    return ended, pid


def main(home: str, count: str) -> None:
    while True:
        ended, pid = crowd(home, int(count))
        sys.stdout.write(json.dumps({"ended": ended, "serves": pid}) + "\n")
        sys.stdout.flush()
        word = sys.stdin.readline().strip()
        os.kill(pid, signal.SIGKILL if word == "kill" else signal.SIGTERM)
        os.waitpid(pid, 0)
        if not word:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
