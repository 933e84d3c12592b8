"""
Start and stop the home's daemon: a process of its own that outlives this one, or the home's service where it has one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from orchctl.client import LOOK_SECONDS, Client, patiently, way_out
from orchctl.failures import Failed, Unreachable
from orchctl.unit import Unit
from orchestrd.address import HOLD_SECONDS, LOCK_FILE, holder, served_socket
from orchestrd.errors import AlreadyRunning
from orchestrd.protocol import api

START_SECONDS = 15.0
"""How long a daemon that has its home may take until it answers."""
STOP_SECONDS = 30.0
CHECK_SECONDS = 60.0
DEEP_SECONDS = 600.0
"""A home of a hundred thousand facts takes some ten seconds."""
OUTPUT_FILE = "var/orchestrd.out"

_POLL_SECONDS = 0.05
_LAST_LINES = 15
_SAYS = "orchestrd: "
"""How an error of the daemon begins."""


def running(client: Client) -> api.DaemonStatus | None:
    """
    The daemon that answers, or None.
    """
    try:
        status: api.DaemonStatus = client.call("daemon.status", timeout=LOOK_SECONDS)
    except Unreachable:
        return None
    return status


def open_output(home: Path) -> int:
    """
    The file that takes the daemon's output, opened for appending.  Raises `Failed`.
    """
    output = home / OUTPUT_FILE
    try:
        output.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failed(f"{output}: cannot be written: {error.strerror}") from None


def start(home: Path, client: Client) -> api.DaemonStatus:
    """
    Start the daemon and wait until it answers.  Raises as `start_by_hand` and `through` do.
    """
    unit = Unit(home, os.environ)
    if unit.usable():
        return through(unit, client, unit.start)
    return start_by_hand(home, client)


def start_by_hand(home: Path, client: Client) -> api.DaemonStatus:
    """
    `start`, whatever service the home has.

    Its output is appended to ``var/orchestrd.out``.  Raises `Failed` with its last words when it died, `Unreachable`
    when it lives and still does not answer.
    """
    output = home / OUTPUT_FILE
    fd = open_output(home)
    try:
        before = os.fstat(fd).st_size
        process = subprocess.Popen(
            program("--home", str(home)),
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            cwd=home,
            start_new_session=True,
        )
    finally:
        os.close(fd)
    began = time.monotonic()
    while True:
        status = running(client)
        if status is not None:
            return status
        code = process.poll()
        took = time.monotonic() - began
        # One that was quicker holds the home: then ours left, and the other answers soon.
        if code is not None and (code != AlreadyRunning.exit_status or took >= START_SECONDS):
            raise Failed(_last_words(output, before, code))
        # Before it starts it may wait for a command that holds the home.
        if took >= HOLD_SECONDS + START_SECONDS:
            raise Unreachable(
                f"the daemon (process {process.pid}) does not answer after {took:.0f} s",
                hint=f"Its output: {output}",
            )
        time.sleep(_POLL_SECONDS)


def restart(home: Path, client: Client) -> api.DaemonStatus:
    """
    End the daemon if one runs, and start another; where the home has a service, callers wait meanwhile.

    Raises as `start` and `stop` do.
    """
    unit = Unit(home, os.environ)
    if unit.usable() and unit.running():
        return through(unit, client, unit.restart)
    stop(home, client)
    return start(home, client)


def through(unit: Unit, client: Client, act: Callable[[], None]) -> api.DaemonStatus:
    """
    Have the service manager *act*, and give the daemon that answers then.

    Raises `Failed` with the daemon's last words when it died, `Unreachable`.
    """
    output = unit.home / OUTPUT_FILE
    before = output.stat().st_size if output.exists() else 0
    client.close()
    try:
        act()
    except Failed:
        code = int(unit.shown()["ExecMainStatus"] or 0)
        if code:
            raise Failed(_last_words(output, before, code)) from None
        raise
    # A daemon that was started by hand may have listened elsewhere.
    client.path = served_socket(unit.home, dict(os.environ))
    status: api.DaemonStatus = patiently(lambda: client.call("daemon.status"), START_SECONDS)
    return status


def stop(home: Path, client: Client) -> api.Stopping | None:
    """
    End the daemon and wait until it is gone; None when none was running.  Agents go on.

    Raises `Failed` when it does not leave.
    """
    unit = Unit(home, os.environ)
    if not unit.usable():
        return stop_by_call(home, client, unit)
    leaving = None
    if unit.running():
        # Asked only while it runs: a call to the socket alone would start it.
        status = running(client)
        leaving = api.Stopping(pid=status.pid, agents=status.agents) if status is not None else None
    client.close()
    unit.stop()
    # One that was started by hand is no business of the service.
    return stop_by_call(home, client) or leaving


def stop_by_call(home: Path, client: Client, unit: Unit | None = None) -> api.Stopping | None:
    """
    `stop` for a daemon that no service manager starts again.  Raises `Failed` also when it is that of *unit*.
    """
    status = running(client)
    if status is not None and unit is not None and unit.keeps(status.pid):
        raise Failed(
            f"the daemon is run by {unit.service}, and its service manager cannot be reached: {unit.manager.absence()}",
            hint=f"It would be started again. From a login session: systemctl --user stop {unit.socket} {unit.service}",
        )
    if status is None:
        pid = holder(home / LOCK_FILE)
        if pid is not None:
            raise Failed(f"process {pid} holds this home but does not answer", hint=way_out(pid))
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


def examine(home: Path, *, deep: bool = False, repair: bool = False) -> api.Doctor:
    """
    What the daemon's own pre-flight finds, without a daemon; *deep*: whether the home itself is whole, beside a daemon too;
    *repair*: after what is safe was mended.

    Raises `Failed` when it cannot be run, or is refused.
    """
    options = [*(["--deep"] if deep else []), *(["--repair"] if repair else [])]
    limit = DEEP_SECONDS if deep else CHECK_SECONDS
    try:
        done = subprocess.run(
            program("--home", str(home), "--check", *options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
            check=False,
        )
        return msgspec.json.decode(done.stdout, type=api.Doctor)
    except subprocess.TimeoutExpired:
        raise Failed(f"the examination did not end within {limit:g} s") from None
    except msgspec.DecodeError:
        words = done.stderr.decode("utf-8", "replace").strip()
        if deep and words.startswith(_SAYS):
            # It looked, and says in one line why it goes no further, and what to do in the next.
            message, _, hint = words.removeprefix(_SAYS).partition("\n")
            raise Failed(message, hint=hint) from None
        raise Failed(f"the examination failed (exit status {done.returncode})", hint=words[-2000:]) from None


def program(*args: str) -> list[str]:
    """
    The command line of the daemon's own program.
    """
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


def _room(output: Path) -> bool:
    """
    True when the output can be written to.
    """
    try:
        free = os.statvfs(output.parent)
    except OSError:
        return True
    return free.f_bavail > 0 and (free.f_favail > 0 or free.f_files == 0)


def _last_words(output: Path, before: int, code: int) -> str:
    with output.open("rb") as file:
        file.seek(max(before, output.stat().st_size - 16384))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()[-_LAST_LINES:]
    words = "\n".join(f"  {line}" for line in lines)
    silent = f" and said nothing; see {output}" if _room(output) else f" and could say nothing: no room for {output}"
    said = f"; it said:\n{words}" if words else silent
    return f"the daemon ended at once (exit status {code}){said}"
