"""
The layout of a home, the modes of what is under ``var/``, and the lock that lets one daemon serve it.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import select
import stat
import time
from contextlib import suppress
from pathlib import Path

from orchestrd.address import HOLD_SECONDS, LOCK_FILE
from orchestrd.ancestry import about, run_name, run_of
from orchestrd.errors import AlreadyRunning, HeldByRun, StorageError
from orchestrd.failpoint import failpoint
from orchestrd.locks import held, holders, notice

HOLDER_TRIES, HOLDER_PAUSE = 25, 20
"""Looks whether who holds the lock says so in it by now, and milliseconds between two."""


_ATTEMPT = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


class Home:
    """
    Every path the program uses under one home folder.  Making one touches nothing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.var = root / "var"
        self.database = self.var / "orchestrd.db"
        self.lock_file = root / LOCK_FILE
        self.config = root / "config"
        self.workspaces = self.var / "agent_workspaces"
        self.status = self.var / "agent_status"
        self.logs = self.var / "agent_logs"
        self.questions = self.var / "agent_questions"
        self.results = self.var / "results"
        self.feedback = self.var / "feedback"
        self.git = self.var / "git"
        self.freeze_note = self.var / "freeze"
        """Left by who stopped everything while a daemon that hangs held the home: the daemon is to record it."""

    def workspace(self, task: str) -> Path:
        """
        The workspace of a task by full name: ``agent_workspaces/DAY/TASK``.
        """
        return self.workspaces / task

    def tree(self, task: str, known: str) -> Path:
        """
        Where the working tree of *task* is now that was *known* to be there: a worktree is moved with its home, the person's own
        project is not.
        """
        own = self.workspace(task) / "tree"
        return own if Path(known).match(str(own.relative_to(self.root))) else Path(known)

    def status_file(self, task: str) -> Path:
        """
        The status file of a task by full name.
        """
        return self.status / f"{task}.json"

    def run_dir(self, run: str) -> Path:
        """
        The run directory of a run by full name: ``agent_logs/DAY/TASK/RUN``.
        """
        return self.logs / run

    def taken_attempts(self, task: str) -> frozenset[int]:
        """
        The numbers under which something lies among the task's run directories, whatever and whosever it is.
        """
        try:
            names = os.listdir(self.logs / task)  # noqa: PTH208 - names are all that is needed
        except OSError:
            return frozenset()
        # An agent may have put anything beside its own: what is no number of ours counts for nothing.
        return frozenset(int(name) for name in names if _ATTEMPT.fullmatch(name))

    def question_file(self, task: str, number: int) -> Path:
        """
        The file of a task's question: ``TASK.md``, ``TASK-2.md`` …
        """
        return self.questions / (f"{task}.md" if number == 1 else f"{task}-{number}.md")

    def answer_file(self, task: str, number: int) -> Path:
        """
        Where the person may write the answer: ``TASK-answer.md``, ``TASK-2-answer.md`` …
        """
        return self.questions / (f"{task}-answer.md" if number == 1 else f"{task}-{number}-answer.md")

    def report_file(self, day: str, suffix: str) -> Path:
        """
        ``DAY-report.md``, ``.html`` or ``.json``.
        """
        return self.results / f"{day}-report.{suffix}"

    def create(self) -> None:
        """
        Make ``var/`` and its folders, private to the user.

        Raises `StorageError`.
        """
        folders = (
            self.var,
            self.workspaces,
            self.status,
            self.logs,
            self.questions,
            self.results,
            self.feedback,
            self.git,
        )
        try:
            for folder in folders:
                folder.mkdir(mode=0o700, exist_ok=True)
                if stat.S_IMODE(folder.stat().st_mode) & 0o077:
                    folder.chmod(0o700)
            ignore = self.var / ".gitignore"
            if not ignore.exists():
                # A home may lie inside the project: its state is no part of the work.
                ignore.write_text("*\n", encoding="utf-8")
                ignore.chmod(0o600)
        except OSError as error:
            raise StorageError(f"{self.var}: cannot be made ready: {error.strerror}") from error

    def lock(self, purpose: str = "") -> int:
        """
        Take the home for this process; gives the file descriptor that holds the lock until it is closed.  *purpose* tells
        others what for, when it is not to serve: who has one leaves soon, and is waited for up to `HOLD_SECONDS`.

        Raises `AlreadyRunning` naming the holder, `HeldByRun` when that is a process of a run of this home, `StorageError`.
        """
        try:
            fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageError(f"{self.lock_file}: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise StorageError(
                f"{self.lock_file}: not a regular file", hint="Nothing of ours: look what it is, remove it."
            )
        try:
            self._await(fd)
        except OSError as error:
            os.close(fd)
            raise StorageError(f"{self.lock_file}: who holds it cannot be seen now: {error.strerror}") from error
        except BaseException:
            os.close(fd)
            raise
        _name_holder(fd, f"{os.getpid()}\n{purpose}")
        return fd

    def _await(self, fd: int) -> None:
        end, tries = time.monotonic() + HOLD_SECONDS, HOLDER_TRIES
        while not _taken(fd):
            pid, what = notice(self.lock_file)
            # One that has taken it just now has its name not there yet: the one that is belongs to a dead daemon.
            named = pid is not None and held(pid, self.lock_file)
            passing = named and bool(what) and not what.startswith("/")
            if passing and time.monotonic() < end:
                select.poll().poll(HOLDER_PAUSE)
            elif not named and tries:
                tries -= 1
                select.poll().poll(HOLDER_PAUSE)
            else:
                raise self._taken_by(pid if named else None, what if passing else "")

    def _taken_by(self, pid: int | None, purpose: str) -> AlreadyRunning:
        """
        What is wrong: *pid* has the lock and says so in it, for a *purpose* when not to serve; None when who has it is silent.
        """
        if purpose:
            return AlreadyRunning(
                f"{self.root}: `{purpose}` is at work in this home (process {pid})", hint="Try again in a moment."
            )
        if pid is not None:
            return AlreadyRunning(
                f"{self.root}: another daemon serves this home (process {pid})",
                hint=f"Stop it first: orchctl daemon stop.  If it does not answer: kill -9 {pid}; agents go on.",
            )
        pids = holders(self.lock_file)
        if not pids:
            return AlreadyRunning(
                f"{self.root}: the home's lock is held by a process that cannot be seen from here",
                hint=f"Another user's, or in another container.  Look for it as root: lsof {self.lock_file}",
            )
        who, numbers = ", ".join(map(about, pids)), " ".join(map(str, pids))
        runs = [Path(run) for pid in pids if (run := run_of(pid))]
        logs = self.logs.resolve()
        if len(runs) == len(pids) and all(run.resolve().is_relative_to(logs) for run in runs):
            return HeldByRun(
                f"{self.root}: no daemon holds the home's lock, but {who} of the run {run_name(runs[0])}",
                hint=f"It serves nobody, and could not be ended: kill -9 {numbers}",
                pids=pids,
            )
        of = f", of {runs[0]}" if runs else ""
        return AlreadyRunning(
            f"{self.root}: no daemon holds the home's lock, but {who}{of}",
            hint=f"It serves nobody.  Look what it is: ps -fp {','.join(map(str, pids))}.  End it, then try again.",
        )

    def holds(self, lock: int) -> bool:
        """
        True while the lock file that lies at its path is the one that *lock* holds.
        """
        try:
            found = self.lock_file.stat()
        except OSError:
            return False
        held = os.fstat(lock)
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)


def _taken(lock: int) -> bool:
    """
    Take the *lock*, unless another process has it.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def announce(lock: int, socket: Path) -> None:
    """
    Write beside the held *lock* where the daemon listens.
    """
    _name_holder(lock, f"{os.getpid()}\n{socket}\n")


def _name_holder(lock: int, text: str) -> None:
    data = os.fsencode(text)
    with suppress(OSError):
        # In place, which a full disk has room for; and if not, it is the lock that counts.
        os.pwrite(lock, data, 0)
        os.ftruncate(lock, len(data))


def private_folder(path: Path) -> None:
    """
    Make *path* as a folder that only this user can use, or verify that it is one.

    Raises `StorageError` when it is anything else.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise StorageError(f"{path}: not a folder of this user") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be made: {error.strerror}") from error
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StorageError(f"{path}: not a folder of this user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """
    Replace the file whole: a reader sees the old content or the new, never a part; *durable*: after a power loss too.

    Raises `OSError`.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A name that nobody can know, and never a file that is there: an agent may have put a link to another's in its place.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        failpoint("file.before_rename")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def put_aside(path: Path, why: str) -> Path:
    """
    Give the file another name beside it, ``NAME.WHY``, then ``NAME.WHY-2`` …: none takes the place of an earlier one.

    Gives the new path.  Raises `OSError`.
    """
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.{why}{'' if number == 1 else f'-{number}'}")):
        number += 1
    path.rename(aside)
    return aside


def sync_folder(folder: Path) -> None:
    """
    Make what was renamed in *folder* survive a power loss.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
