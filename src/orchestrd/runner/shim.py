"""
The per-run parent: starts the agent, outlives the daemon, ends the whole process tree, writes how it ended.

Standard library only, started as ``python -I -S shim.py RUNDIR``.  It promises:

* the starting process exits 0 once the agent runs and the locks are held, else 1 with the reason on stderr;
* ``shim.lock`` is held while it lives; ``agent.lock`` is inherited by the agent and held while any heir of it lives;
* whole lines of ``stdin.jsonl`` are forwarded to the agent in order, each once;
* ``control.fifo`` takes ``input``, ``eof``, ``stop SECONDS`` and ``signal NAME``, one a line;
* when the agent is gone, whatever it left behind is ended too, wherever it put itself: the shim is a child subreaper,
  so orphans of the tree come to it (Claude Code 2.1.330 gives each Bash call a session of its own);
* ``exit.json`` appears whole, last of all.

It must not know what the agent says.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PR_SET_CHILD_SUBREAPER = 36
LEFTOVER_GRACE = 2.0
CHUNK = 65536
LOCK_TRIES = 50
LOCK_PAUSE = 10
"""Milliseconds between two tries for a lock."""


def main() -> None:
    """
    Detach, run the agent named in ``RUNDIR/spec.json``, and record its end.
    """
    os.chdir(sys.argv[1])
    # Whatever the starter let through (uvloop passes its pipes a second time) would be held open for the run's life.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    ready_read, ready_write = os.pipe()
    if os.fork():
        os.close(ready_write)
        told = b""
        while chunk := os.read(ready_read, CHUNK):
            told += chunk
        if told != b"ok":
            sys.stderr.write(told.decode("utf-8", "replace") or "the shim died before the agent ran\n")
            os._exit(1)
        os._exit(0)
    os.close(ready_read)
    os.setsid()
    # The starter waits for the end of its pipes: nothing of this process may hold them.
    log = os.open("shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for fd, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(fd, target)
    try:
        shim = Shim()
    except Exception as error:  # noqa: BLE001 - whatever it was, the daemon must be told before this process ends
        os.write(ready_write, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    os.write(ready_write, b"ok")
    os.close(ready_write)
    shim.run()


class Shim:
    """
    One agent and everything that descends from it.
    """

    def __init__(self) -> None:
        os.umask(0o077)
        with open("spec.json", "rb") as file:
            spec = json.load(file)
        self.grace = float(spec["grace"])
        self.lock = os.open("shim.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        take(self.lock)
        if os.path.exists("exit.json"):
            raise RuntimeError("this run has ended before; a run directory is used once")
        for name in ("stdin.fifo", "control.fifo"):
            with contextlib.suppress(FileExistsError):
                os.mkfifo(name, 0o600)
        self.control = os.open("control.fifo", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        # Held open for reading too, so that the agent never sees an end of file it was not meant to see.
        self.fifo: int | None = os.open("stdin.fifo", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.spool = os.open("stdin.jsonl", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.spooled = 0
        self.pending = b""
        self.commands = b""
        self.deadline: float | None = None
        self.stopped = False
        self.closing = False
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.wakeup, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        for name in ("SIGINT", "SIGHUP", "SIGTERM"):
            # Only the control channel ends a run: a signal meant for the daemon's group is not for the agent.
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        self.started_at = time.time()
        self.agent = self._spawn(spec)
        record = {"shim": os.getpid(), "agent": self.agent.pid, "started_at": self.started_at}
        write_whole("process.json", record)

    def _spawn(self, spec: dict[str, Any]) -> subprocess.Popen[bytes]:
        agent_lock = os.open("agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        take(agent_lock)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        stdin = os.open("stdin.fifo", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(stdin, True)
        stdout, stderr = os.open("stdout.jsonl", append, 0o600), os.open("stderr.log", append, 0o600)
        try:
            return subprocess.Popen(
                spec["argv"],
                cwd=spec["cwd"],
                env=spec["env"],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(agent_lock,),
                start_new_session=True,
                restore_signals=True,
                preexec_fn=default_signals,
            )
        finally:
            for fd in (agent_lock, stdin, stdout, stderr):
                os.close(fd)

    def run(self) -> None:
        """
        Forward, obey and reap until the tree is gone; then record the end.
        """
        poll = select.poll()
        for fd in (self.wakeup, self.control):
            poll.register(fd, select.POLLIN)
        status: int | None = None
        self._read_spool()
        while status is None:
            self._forward(poll)
            timeout = None if self.deadline is None else max(0.0, self.deadline - time.monotonic()) * 1000 + 1
            for fd, _ in poll.poll(timeout):
                if fd in (self.wakeup, self.control):
                    self._drain(fd)
            if self.deadline is not None and time.monotonic() >= self.deadline:
                for pid in descendants():
                    send(pid, signal.SIGKILL)
                self.deadline = time.monotonic() + 1.0
            status = self._reap()
        leftovers = self._end_leftovers()
        self._record(status, leftovers)

    def _drain(self, fd: int) -> None:
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        if fd == self.control:
            *lines, self.commands = (self.commands + data).split(b"\n")
            for line in lines:
                self._obey(line.decode("ascii", "replace").split())

    def _obey(self, words: list[str]) -> None:
        match words:
            case ["input"]:
                self._read_spool()
            case ["eof"]:
                self._read_spool()
                self.closing = True
            case ["stop", number] if (grace := seconds(number)) is not None:
                self.stopped = True
                deadline = time.monotonic() + grace
                if self.deadline is None:
                    self.deadline = deadline
                    send(self.agent.pid, signal.SIGTERM)
                else:
                    self.deadline = min(self.deadline, deadline)
            case ["signal", name] if name in ("SIGINT", "SIGSTOP", "SIGCONT"):
                pids = [self.agent.pid] if name == "SIGINT" else [self.agent.pid, *descendants()]
                for pid in pids:
                    send(pid, getattr(signal, name))

    def _read_spool(self) -> None:
        """
        Take what was added to the spool, up to the last whole line.
        """
        while True:
            data = os.pread(self.spool, CHUNK, self.spooled)
            whole = data.rfind(b"\n") + 1
            if not whole and len(data) == CHUNK:
                # One line longer than a chunk: read on until its end, or leave it for later.
                size = os.fstat(self.spool).st_size
                data = os.pread(self.spool, size - self.spooled, self.spooled)
                whole = data.rfind(b"\n") + 1
            if not whole:
                return
            self.pending += data[:whole]
            self.spooled += whole

    def _forward(self, poll: select.poll) -> None:
        """
        Write as much as the agent takes now; the rest when it has room, without ever waiting for it.
        """
        if self.fifo is None:
            return
        while self.pending:
            try:
                sent = os.write(self.fifo, self.pending[:4096])
            except BlockingIOError:
                # O_RDWR on a FIFO always polls as readable when it holds data; only writability matters here.
                poll.register(self.fifo, select.POLLOUT)
                return
            self.pending = self.pending[sent:]
        with contextlib.suppress(KeyError):
            poll.unregister(self.fifo)
        if self.closing:
            os.close(self.fifo)
            self.fifo = None

    def _reap(self) -> int | None:
        """
        Collect every ended child; the agent's wait status once it is among them.
        """
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == self.agent.pid:
                found = status

    def _end_leftovers(self) -> list[str]:
        """
        End what outlived the agent: TERM, a short grace, KILL.  Gives the names of what was found.
        """
        names = {pid: comm(pid) for pid in descendants()}
        give_up = time.monotonic() + LEFTOVER_GRACE
        for pid in names:
            send(pid, signal.SIGTERM)
        poll = select.poll()
        poll.register(self.wakeup, select.POLLIN)
        while True:
            self._reap()
            left = descendants()
            if not left:
                return list(names.values())
            # A process may have become another program since the last look.
            names.update({pid: comm(pid) or names.get(pid, "") for pid in left})
            if time.monotonic() >= give_up:
                for pid in left:
                    send(pid, signal.SIGKILL)
            poll.poll(50)
            with contextlib.suppress(BlockingIOError):
                os.read(self.wakeup, CHUNK)

    def _record(self, status: int, leftovers: list[str]) -> None:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        killed = os.WIFSIGNALED(status)
        record = {
            "version": 1,
            "exit_code": None if killed else os.WEXITSTATUS(status),
            "signal": os.WTERMSIG(status) if killed else None,
            "started_at": self.started_at,
            "ended_at": time.time(),
            "stopped": self.stopped,
            "leftovers": leftovers,
            "max_rss_bytes": usage.ru_maxrss * 1024,
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        }
        while True:
            try:
                write_whole("exit.json", record)
            except OSError as error:
                # A full disk: the record is what the daemon waits for, so keep trying while the lock is held.
                sys.stderr.write(f"exit.json: {error}\n")
                select.poll().poll(1000)
            else:
                return


def take(lock: int) -> None:
    """
    Lock the file; who only looks whether it is held holds it for a moment, so a short wait is given.

    Raises `BlockingIOError` when another shim or its agent has it.
    """
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            select.poll().poll(LOCK_PAUSE)
        else:
            return
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def seconds(text: str) -> float | None:
    """
    A duration of at most a day, or None for what is none.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return min(value, 86400.0) if value >= 0 else None


def default_signals() -> None:
    """
    Give the agent the signal dispositions the shim changed for itself.
    """
    for name in ("SIGINT", "SIGHUP", "SIGTERM", "SIGCHLD"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def write_whole(name: str, record: dict[str, Any]) -> None:
    """
    Write *record* so that the file appears whole or not at all, and stays after a power loss.
    """
    with open(f"{name}.new", "w", encoding="ascii") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{name}.new", name)
    folder = os.open(".", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def descendants() -> list[int]:
    """
    Every living process below this one, zombies left out.
    """
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = stat_of(int(name))
            if found is not None:
                parents[int(name)] = found
    result = []
    level = {os.getpid()}
    while level:
        level = {pid for pid, (parent, _) in parents.items() if parent in level}
        result += [pid for pid in level if parents[pid][1] != "Z"]
    return result


def stat_of(pid: int) -> tuple[int, str] | None:
    """
    ``(parent, state)`` of a process from ``/proc/PID/stat`` (proc(5)), or None when it is gone.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[0].decode()


def comm(pid: int) -> str:
    """
    The process's own name, empty when it is gone.
    """
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def send(pid: int, number: int) -> None:
    """
    Signal a process; one that has just gone is no error.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


if __name__ == "__main__":
    main()
