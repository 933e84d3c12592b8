"""
The layout of a home, the modes of what is under ``var/``, and the lock that lets one daemon serve it.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from orchestrd.config import LOCK_FILE
from orchestrd.errors import AlreadyRunning, StorageError


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

    def workspace(self, task: str) -> Path:
        """
        The workspace of a task by full name: ``agent_workspaces/DAY/TASK``.
        """
        return self.workspaces / task

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

    def lock(self) -> int:
        """
        Take the home for this process; gives the file descriptor that holds the lock until it is closed.

        Raises `AlreadyRunning` naming the holder.
        """
        try:
            fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageError(f"{self.lock_file}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 64).decode("ascii", "replace").partition("\n")[0].strip()
            os.close(fd)
            raise AlreadyRunning(
                f"{self.root}: another daemon serves this home (process {holder or 'unknown'})",
                hint="Stop it first: orchctl daemon stop",
            ) from None
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        return fd


def announce(lock: int, socket: Path) -> None:
    """
    Write beside the held *lock* where the daemon listens.
    """
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n{socket}\n".encode(), 0)


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
