"""
The per-run parent: starts the agent, outlives the daemon, ends the whole process tree, writes how it ended.

Standard library only, started as ``python -I -S shim.py RUNDIR``.  It promises:

* the starting process exits 0 once the agent runs and the locks are held, else 1 with the reason on stderr;
* ``shim.lock`` is held while it lives; ``agent.lock`` is inherited by the agent and held while any heir of it lives;
* whole lines of ``stdin.jsonl`` are forwarded to the agent in order, each once;
* ``control.fifo`` takes ``input``, ``eof``, ``stop SECONDS`` and ``signal NAME``, one a line; it passes over what it does
  not know;
* after ``signal SIGSTOP`` nothing below it runs until ``signal SIGCONT``, whatever it forked meanwhile, and a deadline that
  was running stands still; a ``stop`` that comes later is meant, and its deadline runs; ``stop 0`` kills what stands still;
* when the agent is gone, whatever it left behind is ended too, wherever it put itself: the shim is a child subreaper,
  so orphans of the tree come to it (Claude Code 2.1.330 gives each Bash call a session of its own);
* an agent in a sandbox is the process that the sandbox was made for: signals go to it, not to what is around it; what is
  around it, and the gateway that the spec asks for, lives as long as the tree and counts as nothing that was left behind;
* the home's daemon is neither stopped nor ended, nor is what it started, also when something of the tree started it;
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

    from orchestrd.locks import daemon
    from orchestrd.runner.frame import Frame
    from orchestrd.runner.inbox import Inbox
    from orchestrd.runner.processes import below, boot_id, comm, kill, let_go, oom_kills, send, stop
else:
    # Its parts, found by path: nothing of the package is loaded.
    _here = os.path.dirname(os.path.abspath(__file__))
    sys.path += [_here, os.path.dirname(_here)]
    from frame import Frame
    from inbox import Inbox
    from locks import daemon
    from processes import below, boot_id, comm, kill, let_go, oom_kills, send, stop

PR_SET_CHILD_SUBREAPER = 36
LEFTOVER_GRACE = 2.0
LEFTOVER_LIMIT = 12.0
"""Seconds after which what cannot be killed (another user's process, one stuck in the kernel) is left to itself."""
CHUNK = 65536
HOME_LOCK = "../../../../orchestrd.lock"
"""The lock of the home, from the run's directory."""
REFREEZE = 0.2
"""Seconds until a tree that could not be stopped whole is tried again."""
OOM_SCORE = "500"
"""``oom_score_adj`` of agents (proc(5)): half of the machine's memory is added to what they use."""
LOCK_TRIES = 50
LOCK_PAUSE = 10
"""Milliseconds between two tries for a lock."""
_failpoints: dict[str, Any] = {}


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
    # Whoever waited for this may be gone, with the daemon: the agent is no less there for it.
    with contextlib.suppress(BrokenPipeError):
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
        if os.path.exists("exit.json") or os.path.exists("barred"):
            raise RuntimeError("this run has ended before; a run directory is used once")
        for name in ("stdin.fifo", "control.fifo"):
            with contextlib.suppress(FileExistsError):
                os.mkfifo(name, 0o600)
        self.control = os.open("control.fifo", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.inbox = Inbox()
        self.commands = b""
        self.deadline: float | None = None
        self.stopped = False
        self.frozen = False
        self.whole = True
        """False while something of a frozen tree still runs."""
        self.left: float | None = None
        """Seconds that were left of the deadline when the tree was frozen."""
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.wakeup, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        for name in ("SIGINT", "SIGHUP", "SIGTERM"):
            # Only the control channel ends a run: a signal meant for the daemon's group is not for the agent.
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        self.started_at = time.time()
        self.oom_kills = oom_kills()
        failpoint("shim.locked.before_spawn")
        self.frame = Frame(spec)
        try:
            self.agent = self._spawn(spec)
        except BaseException:
            self.frame.close()
            raise
        self.frame.find(self.agent.pid)
        failpoint("shim.spawned.before_record")
        record = {
            "shim": os.getpid(),
            "agent": self.frame.agent,
            "started_at": self.started_at,
            "boot": boot_id(),
            "frame": sorted(self.frame.around),
        }
        with contextlib.suppress(OSError):
            # Not needed: on a full disk the agent that has just been started goes on without it.
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
                env=self.frame.environ,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(agent_lock,),
                start_new_session=True,
                restore_signals=True,
                preexec_fn=become_agent,
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
        self.inbox.take()
        while status is None:
            if self.inbox.forward(poll):
                failpoint("shim.forwarded")
            woken = poll.poll(self._timeout())
            for fd, _ in woken:
                if fd in (self.wakeup, self.control):
                    self._drain(fd)
            if self.deadline is not None and time.monotonic() >= self.deadline:
                kill(living())
                self.deadline = time.monotonic() + 1.0
            if self.frozen and (woken or not self.whole):
                # A child that went on, whoever told it to, wakes us by SIGCHLD.
                self.whole = stop(tree)
            status = self._reap()
        leftovers = self._end_leftovers()
        self._record(status, leftovers)

    def _timeout(self) -> float | None:
        """
        Milliseconds after which there is something to do even if nothing happens, or None.
        """
        due = [] if self.deadline is None else [max(0.0, self.deadline - time.monotonic()) * 1000 + 1]
        if self.frozen and not self.whole:
            due.append(REFREEZE * 1000)
        return min(due, default=None)

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
                self.inbox.take()
            case ["eof"]:
                self.inbox.close()
            case ["stop", number] if (grace := seconds(number)) is not None:
                self.stopped = True
                self.left = None
                deadline = time.monotonic() + grace
                if self.deadline is None:
                    self.deadline = deadline
                    if grace:
                        self._tell(signal.SIGTERM)
                else:
                    self.deadline = min(self.deadline, deadline)
            case ["signal", "SIGINT"]:
                self._tell(signal.SIGINT)
            case ["signal", "SIGSTOP"]:
                if not self.frozen:
                    self.frozen = True
                    self.left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
                    self.deadline = None
                self.whole = stop(tree)
            case ["signal", "SIGCONT"] if self.frozen:
                self.frozen = False
                if self.left is not None:
                    self.deadline, self.left = time.monotonic() + self.left, None
                let_go(living())

    def _tell(self, number: int) -> None:
        """
        Signal the agent.  In a sandbox it is no child of this process: its number may be another's by now.
        """
        if self.frame.agent == self.agent.pid or self.frame.agent in tree():
            send(self.frame.agent, number)

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
        End what outlived the agent: TERM, a short grace, KILL; what is frozen could not act on TERM and gets KILL at once.
        Gives the names of what was found.
        """
        # Nobody asks it for anything any more.
        self.frame.close()
        names = {pid: comm(pid) for pid in living()}
        began = time.monotonic()
        for pid in names:
            send(pid, signal.SIGTERM)
        poll = select.poll()
        for fd in (self.wakeup, self.control):
            poll.register(fd, select.POLLIN)
        while True:
            self._reap()
            left = living()
            waited = time.monotonic() - began
            if not left or waited >= LEFTOVER_LIMIT:
                self._reap()
                return [name for pid, name in names.items() if pid not in self.frame.around]
            # A process may have become another program since the last look.
            names.update({pid: comm(pid) or names.get(pid, "") for pid in left})
            if self.frozen or waited >= LEFTOVER_GRACE:
                kill(left)
            for fd, _ in poll.poll(50):
                self._drain(fd)

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
            "oom_kills": oom_kills() - self.oom_kills,
        }
        while True:
            try:
                write_whole("exit.json", record)
            except OSError as error:
                # A full disk: the record is what the daemon waits for, so keep trying while the lock is held.
                with contextlib.suppress(OSError):
                    # The log is on that disk too.
                    sys.stderr.write(f"exit.json: {error}\n")
                select.poll().poll(1000)
            else:
                return


def failpoint(name: str) -> None:
    """
    `orchestrd.failpoint.failpoint`, found by path: nothing of the package is loaded unless a test asks for it.
    """
    if os.environ.get("ORCHESTRD_TESTING") == "1":
        if not _failpoints:
            import runpy

            path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "failpoint.py")
            _failpoints.update(runpy.run_path(path))
        _failpoints["failpoint"](name)


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


def tree() -> dict[int, str]:
    """
    Every process below this one with its state, parents first; the home's daemon and what is below that are not of the tree.
    """
    return below(os.getpid(), apart=daemon(HOME_LOCK))


def living() -> list[int]:
    """
    Every living process below this one, parents first, zombies left out.
    """
    return [pid for pid, state in tree().items() if state != "Z"]


def seconds(text: str) -> float | None:
    """
    A duration of at most a day, or None for what is none.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return min(value, 86400.0) if value >= 0 else None


def become_agent() -> None:
    """
    Take back the signal dispositions the shim changed for itself, and be what the kernel ends first when memory is short:
    an agent can be resumed.
    """
    for name in ("SIGINT", "SIGHUP", "SIGTERM", "SIGCHLD"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(OOM_SCORE)


def write_whole(name: str, record: dict[str, Any]) -> None:
    """
    Write *record* so that the file appears whole or not at all, and stays after a power loss.
    """
    with open(f"{name}.new", "w", encoding="ascii") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    if name == "exit.json":
        failpoint("shim.exit.before_rename")
    os.rename(f"{name}.new", name)
    if name == "exit.json":
        failpoint("shim.exit.renamed")
    folder = os.open(".", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


if __name__ == "__main__":
    main()
