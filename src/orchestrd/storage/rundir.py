"""
One run's directory: what the daemon and the run's shim say to each other, as files that outlive both.

``spec.json`` is written once before the shim starts.  ``stdout.jsonl`` and ``stderr.log`` are appended to by the kernel.
``stdin.jsonl`` holds every line for the agent; the shim forwards whole lines of it into ``stdin.fifo``, so a daemon that
dies while writing never leaves half a message in the agent's hands.  ``exit.json`` appears once the whole process tree
is gone.  Liveness is a lock that dies with its holder, never a process id.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from orchestrd.storage.home import write_atomic
from orchestrd.storage.regular import open_regular, read_regular

RECORD_LIMIT = 1 << 20
"""Bytes of a record that are read."""
SPOOL_LIMIT = 1 << 30
"""Bytes of what was said to one agent that are read."""


class RunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the shim starts: ``spec.json``.  *version* is that of the protocol between shim and daemon.
    """

    version: int = 1
    run: str
    argv: list[str]
    cwd: str
    env: dict[str, str]
    grace: float = 10.0


class ExitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the agent ended: ``exit.json``.  *signal* is set instead of *exit_code* when a signal ended it.
    """

    version: int
    exit_code: int | None = None
    signal: int | None = None
    started_at: float
    ended_at: float
    stopped: bool = False
    leftovers: list[str] = []
    max_rss_bytes: int = 0
    cpu_seconds: float = 0.0
    error: str = ""


class RunDir:
    """
    The paths and small acts of one run directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec = path / "spec.json"
        self.stdout = path / "stdout.jsonl"
        self.stderr = path / "stderr.log"
        self.stdin = path / "stdin.jsonl"
        self.fifo = path / "stdin.fifo"
        self.control = path / "control.fifo"
        self.exit = path / "exit.json"
        self.shim_lock = path / "shim.lock"
        self.agent_lock = path / "agent.lock"

    def create(self, spec: RunSpec) -> None:
        """
        Make the directory and write its spec.

        Raises `OSError`.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whole or not at all: half a spec could neither be started nor be told from one that was.
        write_atomic(self.spec, msgspec.json.encode(spec), durable=True)

    def read_spec(self) -> RunSpec | None:
        """
        What the shim was told to start, or None when nothing was, or when what lies there is no spec.
        """
        return _decoded(self.spec, RunSpec)

    def send(self, lines: bytes) -> None:
        """
        Append whole *lines* for the agent and wake the shim.

        Raises `OSError`.
        """
        fd = os.open(self.stdin, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            end = os.lseek(fd, 0, os.SEEK_END)
            end = _whole_lines(fd, end)
            view = memoryview(lines)
            while view:
                written = os.pwrite(fd, view, end)
                end, view = end + written, view[written:]
        finally:
            os.close(fd)
        self.tell("input")

    def tell(self, command: str) -> bool:
        """
        Give the shim one command line: ``input``, ``eof``, ``stop SECONDS`` or ``signal NAME``; False when it is gone.
        """
        try:
            fd = os.open(self.control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):
                return False
            raise
        try:
            os.write(fd, f"{command}\n".encode())
        except BlockingIOError:
            # 64 KiB of unread commands: the shim has enough to wake up for.
            return True
        except BrokenPipeError:
            return False
        finally:
            os.close(fd)
        return True

    def sent(self) -> bytes:
        """
        Every line written for the agent so far.
        """
        try:
            return read_regular(self.stdin, SPOOL_LIMIT)
        except OSError:
            return b""

    def exit_record(self) -> ExitRecord | None:
        """
        How the agent ended, or None while it has not, or when what lies there is no record.
        """
        return _decoded(self.exit, ExitRecord)

    def shim_alive(self) -> bool:
        """
        True while the shim holds its lock.
        """
        return _held(self.shim_lock)

    def agent_alive(self) -> bool:
        """
        True while the agent or a process it left behind holds the inherited lock.
        """
        return _held(self.agent_lock)


RecordT = TypeVar("RecordT", RunSpec, ExitRecord)


def _decoded(path: Path, kind: type[RecordT]) -> RecordT | None:
    try:
        return msgspec.json.decode(read_regular(path, RECORD_LIMIT), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _held(path: Path) -> bool:
    try:
        fd = open_regular(path)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _whole_lines(fd: int, end: int) -> int:
    """
    Cut a torn last line, left by a writer that died, and give the new end; the shim has not forwarded it.
    """
    position = end
    while position > 0:
        start = max(0, position - 65536)
        chunk = os.pread(fd, position - start, start)
        newline = chunk.rfind(b"\n")
        if newline >= 0:
            position = start + newline + 1
            break
        position = start
    if position != end:
        os.ftruncate(fd, position)
    return position
