"""
Start and stop the home's daemon: a process of its own that outlives this one.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from orchctl.client import Client
from orchctl.failures import Failed, Unreachable
from orchestrd.config import LOCK_FILE
from orchestrd.errors import AlreadyRunning
from orchestrd.protocol import api

START_SECONDS = 15.0
STOP_SECONDS = 30.0
CHECK_SECONDS = 60.0
OUTPUT_FILE = "var/orchestrd.out"

_POLL_SECONDS = 0.05
_LAST_LINES = 15


def running(client: Client) -> api.DaemonStatus | None:
    """
    The daemon that answers, or None.
    """
    try:
        status: api.DaemonStatus = client.call("daemon.status", timeout=5.0)
    except Unreachable:
        return None
    return status


def start(home: Path, client: Client) -> api.DaemonStatus:
    """
    Start the daemon and wait until it answers.

    Its output is appended to ``var/orchestrd.out``.  Raises `Failed` with its last words when it died, `Unreachable`
    when it lives and still does not answer.
    """
    output = home / OUTPUT_FILE
    try:
        output.parent.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failed(f"{output}: cannot be written: {error.strerror}") from None
    try:
        before = os.fstat(fd).st_size
        process = subprocess.Popen(
            _daemon("--home", str(home)),
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            cwd=home,
            start_new_session=True,
        )
    finally:
        os.close(fd)
    end = time.monotonic() + START_SECONDS
    while True:
        status = running(client)
        if status is not None:
            return status
        code = process.poll()
        # One that was quicker holds the home: then ours left, and the other answers soon.
        late = time.monotonic() >= end
        if code is not None and (code != AlreadyRunning.exit_status or late):
            raise Failed(_last_words(output, before, code))
        if late:
            raise Unreachable(
                f"the daemon (process {process.pid}) does not answer after {START_SECONDS:g} s",
                hint=f"Its output: {output}",
            )
        time.sleep(_POLL_SECONDS)


def stop(home: Path, client: Client) -> api.Stopping | None:
    """
    End the daemon and wait until it is gone; None when none was running.  Agents go on.

    Raises `Failed` when it does not leave.
    """
    status = running(client)
    if status is None:
        pid = holder(home)
        if pid is not None:
            raise Failed(
                f"process {pid} holds this home but does not answer: it is starting, or hangs",
                hint=f"Try again in a moment; if it stays so: kill {pid}.  Agents go on either way.  Its log: {OUTPUT_FILE}",
            )
        return None
    leaving = api.Stopping(pid=status.pid, agents=status.agents)
    try:
        leaving = client.call("daemon.stop")
    except Unreachable:
        # It left before its answer did.
        pass
    client.close()
    end = time.monotonic() + STOP_SECONDS
    while _alive(leaving.pid):
        if time.monotonic() >= end:
            raise Failed(
                f"the daemon (process {leaving.pid}) has not left after {STOP_SECONDS:g} s",
                hint=f"Its log: {OUTPUT_FILE}",
            )
        time.sleep(_POLL_SECONDS)
    return leaving


def holder(home: Path) -> int | None:
    """
    The process that holds the home's lock, or None.
    """
    try:
        with (home / LOCK_FILE).open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.readline())
    except (OSError, ValueError):
        return None
    return None


def examine(home: Path) -> api.Doctor:
    """
    What the daemon's own pre-flight finds, without a daemon.  Raises `Failed` when it cannot be run.
    """
    try:
        done = subprocess.run(
            _daemon("--home", str(home), "--check"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHECK_SECONDS,
            check=False,
        )
        return msgspec.json.decode(done.stdout, type=api.Doctor)
    except subprocess.TimeoutExpired:
        raise Failed(f"the pre-flight did not end within {CHECK_SECONDS:g} s") from None
    except msgspec.DecodeError:
        words = done.stderr.decode("utf-8", "replace").strip()
        raise Failed(f"the pre-flight failed (exit status {done.returncode})", hint=words[-2000:]) from None


def _daemon(*args: str) -> list[str]:
    # -P: a file of the home's that is named like one of our modules must not be imported.
    return [sys.executable, "-P", "-m", "orchestrd", *args]


def _alive(pid: int) -> bool:
    """
    True while the process runs; one that has ended and waits for its parent does not.  Linux.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return not stat.rpartition(b")")[2].lstrip().startswith((b"Z", b"X"))


def _last_words(output: Path, before: int, code: int) -> str:
    with output.open("rb") as file:
        file.seek(max(before, output.stat().st_size - 16384))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()[-_LAST_LINES:]
    words = "\n".join(f"  {line}" for line in lines)
    said = f"; it said:\n{words}" if words else f" and said nothing; see {output}"
    return f"the daemon ended at once (exit status {code}){said}"
