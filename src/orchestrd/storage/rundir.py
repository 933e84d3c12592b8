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
import stat
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from orchestrd.failpoint import failpoint
from orchestrd.redaction import secrets_of
from orchestrd.storage.home import sync_folder, write_atomic
from orchestrd.storage.regular import open_regular, read_regular
from orchestrd.storage.shortage import is_shortage
from orchestrd.storage.spool import SPOOL_LIMIT, Spool

RECORD_LIMIT = 1 << 20
"""Bytes of a record that are read."""
WHY_LIMIT = 1000
"""Bytes of the reason for which a run was given up that are read."""

HOME_LOCK = "../../../../orchestrd.lock"
"""The lock of its home, from a run's directory: ``var/agent_logs/DAY/TASK/RUN``."""


class RunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the shim starts: ``spec.json``.  *version* is that of the protocol between shim and daemon.

    *transcripts* is, for a run that takes up a conversation, file (below the CLI's folder) to bytes of its transcripts before
    it began: what stands there was paid by earlier runs.  None in what an older version wrote.  *framed* says that *argv* is of
    a sandbox around the agent; *gateway* is what its way to the API is told, or None.  It may hold a key: no sandbox shows it.
    """

    version: int = 1
    run: str
    argv: list[str]
    cwd: str
    env: dict[str, str]
    grace: float = 10.0
    transcripts: dict[str, int] | None = None
    framed: bool = False
    gateway: dict[str, str | list[str] | dict[str, str]] | None = None

    @property
    def secrets(self) -> frozenset[str]:
        """
        What nobody is to read of the run: secrets of its agent's environment, and of its way to the API, which has the key where the
        agent has none.
        """
        told = {name: value for name, value in (self.gateway or {}).items() if isinstance(value, str)}
        return secrets_of(self.env, {"BASE": told.get("base", ""), "KEY": told.get("value", "")})


class ExitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the agent ended: ``exit.json``.  *signal* is set instead of *exit_code* when a signal ended it; *oom_kills* counts
    the processes of its control group that the kernel ended meanwhile for lack of memory.
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
    oom_kills: int = 0
    error: str = ""


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    The process ids of a run, and the boot of the machine that they are of: ``process.json``.  *frame* are those of ours beside
    the agent: its sandbox's, its way to the API.
    """

    shim: int
    agent: int
    started_at: float = 0.0
    boot: str = ""
    frame: list[int] = []


class WorkRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    How long the agent has worked: ``work.json``.  *worked* seconds until *at* on the monotonic clock of this *boot*; *standing*
    while it waits for a person.
    """

    boot: str
    at: float
    worked: float
    standing: bool


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
        self.spool = Spool(self.stdin)
        self.fifo = path / "stdin.fifo"
        self.control = path / "control.fifo"
        self.exit = path / "exit.json"
        self.barred = path / "barred"
        self.shut = path / "shut"
        self.process = path / "process.json"
        self.work = path / "work.json"
        self.shim_lock = path / "shim.lock"
        self.agent_lock = path / "agent.lock"
        self.home_lock = path / HOME_LOCK
        self._way: tuple[int, int] | None = None
        self._unheard = False

    def create(self, spec: RunSpec) -> None:
        """
        Make the directory and write its spec.

        Raises `OSError`.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whole or not at all: half a spec could neither be started nor be told from one that was.
        write_atomic(self.spec, msgspec.json.encode(spec), durable=True)
        for folder in (self.path, *self.path.parents[:3]):
            # DAY, TASK and RUN are as new as the spec.
            sync_folder(folder)

    def read_spec(self) -> RunSpec | None:
        """
        What the shim was told to start, or None when nothing was, or when what lies there is no spec.
        """
        return _decoded(self.spec, RunSpec)

    def send(self, lines: bytes) -> None:
        """
        Append whole *lines* for the agent and wake the shim.

        Raises `Spoiled`, `Busy` while another process of ours does, `OSError`.
        """
        self.spool.append(lines)
        failpoint("session.spool.before_wake")
        self.wake()

    def wake(self) -> None:
        """
        Have the shim look for what was appended for the agent; one time too often changes nothing.
        """
        self.tell("input")

    def shut_off(self) -> None:
        """
        See that a gateway beside the run asks the API for nothing more; what is under way goes on.
        """
        # Whatever is in the way of that, the run is ended all the same.
        with suppress(OSError):
            self.shut.touch(0o600)

    def tell(self, command: str) -> bool:
        """
        Give the shim one command line: ``input``, ``eof``, ``stop SECONDS`` or ``signal NAME``; False when it is gone.
        """
        told = self._tell(command)
        self._unheard = not told
        return told

    def _tell(self, command: str) -> bool:
        try:
            # Whatever the agent has put in the place of the FIFO: nothing is written into it, and it is no trouble of ours.
            fd = os.open(self.control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise
            return False
        try:
            if not self._leads_there(os.fstat(fd)):
                return False
            # The first line feed ends what another writer may have left half said.
            os.write(fd, f"\n{command}\n".encode())
        except BlockingIOError:
            # 64 KiB of unread commands: the shim has enough to wake up for.
            return True
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def _leads_there(self, found: os.stat_result) -> bool:
        """
        True for a FIFO, the one that it was the first time.
        """
        file = found.st_dev, found.st_ino
        self._way = file if self._way is None and stat.S_ISFIFO(found.st_mode) else self._way
        return file == self._way

    def hindrance(self) -> str:
        """
        Why nothing reaches an agent whose shim lives, as far as can be told now; empty when it does.  The shim may not listen
        yet, and may be about to end: what lasts is meant.
        """
        if damage := self.spool.damage():
            return f"its {self.stdin.name} {damage}"
        try:
            heard = not self._unheard or self.tell("input")
            heard = heard and self._leads_there(self.control.lstat())
        except OSError as error:
            heard = is_shortage(error)
        return "" if heard else f"its {self.control.name} is gone or was replaced"

    def sent(self) -> bytes:
        """
        Every line written for the agent so far, or as many as are read.

        Raises `OSError` when that cannot be told now.
        """
        try:
            return read_regular(self.stdin, SPOOL_LIMIT)
        except OSError as error:
            if is_shortage(error):
                raise
            return b""

    def agent_pid(self) -> int | None:
        """
        The agent's process id as the shim wrote it down: to be shown, never to be signalled.
        """
        record = _decoded(self.process, ProcessRecord)
        return record.agent if record is not None else None

    def own_pids(self) -> frozenset[int]:
        """
        The process ids of what is ours beside the agent, as the shim wrote them down: to be left out of what the agent did,
        never to be signalled.
        """
        record = _decoded(self.process, ProcessRecord)
        return frozenset(record.frame) if record is not None else frozenset()

    def boot(self) -> str:
        """
        The boot of the machine in which the agent was started; empty where that was not written down.
        """
        record = _decoded(self.process, ProcessRecord)
        return record.boot if record is not None else ""

    def given_up(self) -> str | None:
        """
        Why the run was given up before it began, see `bar`, in one printable line; None when it was not.  It says nothing of
        a run that did begin: an agent may have written it.
        """
        try:
            text = read_regular(self.barred, WHY_LIMIT).decode("utf-8", "replace")
            return "".join(c if c.isprintable() else " " for c in text).strip()
        except OSError as error:
            if is_shortage(error):
                raise
            return None

    def bar(self, why: str = "") -> bool:
        """
        See to it that no shim takes this directory any more, because of *why*; False when one has it, or had.

        Raises `OSError` when that cannot be done now.
        """
        try:
            fd = os.open(self.shim_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            if is_shortage(error):
                raise
            # Nor can a shim take what cannot be opened.
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.exit.exists() or self.agent_pid() is not None or self.agent_alive():
                return False
            # A shim looks for this once it has the lock.
            if not self.barred.exists():
                write_atomic(self.barred, why.encode())
        except BlockingIOError:
            return False
        except OSError as error:
            if is_shortage(error):
                raise
        finally:
            os.close(fd)
        return True

    def started(self) -> bool:
        """
        True once a shim took this directory, whatever became of it.
        """
        # Any trace will do: an agent may have removed the others, and a second one beside it would be worse than none.
        left = any(path.exists() for path in (self.exit, self.process, self.stdout))
        # Who bars it makes the lock as well.
        return left or (self.shim_lock.exists() and not self.barred.exists())

    def exit_record(self) -> ExitRecord | None:
        """
        How the agent ended, or None while it has not, or when what lies there is no record.

        Raises `OSError` when that cannot be told now.
        """
        return _decoded(self.exit, ExitRecord)

    def work_record(self) -> WorkRecord | None:
        """
        How long the agent has worked, as the daemon that looked after it last left it, or None.
        """
        return _decoded(self.work, WorkRecord)

    def shim_alive(self) -> bool:
        """
        True while the shim holds its lock.

        Raises `OSError` when that cannot be told now.
        """
        return _held(self.shim_lock)

    def agent_alive(self) -> bool:
        """
        True while the agent or a process it left behind holds the inherited lock.

        Raises `OSError` when that cannot be told now.
        """
        return _held(self.agent_lock)


RecordT = TypeVar("RecordT", RunSpec, ExitRecord, ProcessRecord, WorkRecord)


def _decoded(path: Path, kind: type[RecordT]) -> RecordT | None:
    try:
        return msgspec.json.decode(read_regular(path, RECORD_LIMIT), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    except OSError as error:
        if is_shortage(error):
            raise
        return None


def _held(path: Path) -> bool:
    try:
        fd = open_regular(path)
    except OSError as error:
        if is_shortage(error):
            raise
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
