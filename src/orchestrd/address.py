"""
Where the daemon of a home is found: the lock that it holds, what it says there, and its socket.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from orchestrd.errors import ConfigError

SOCKET_PATH_LIMIT = 107
"""Bytes: ``sun_path`` of Linux's ``AF_UNIX`` addresses without its closing NUL."""
LOCK_FILE = "var/orchestrd.lock"
"""
Held by the daemon; its process id and its socket's path, one a line.  A command's holds its name in the path's place.
"""
HOLD_SECONDS = 15.0
"""How long a command that holds the lock for a moment is waited for."""


class Notice(NamedTuple):
    """
    What a lock file says: the process that took it last, and where that listens or what for it took it.
    """

    pid: int | None
    what: str


def home_name(root: Path) -> str:
    """
    A short name of the home *root* that no other home of this machine has: 16 hexadecimal digits.
    """
    return hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]


def socket_path(root: Path, environ: dict[str, str]) -> Path:
    """
    The control socket of the home *root*: ``$XDG_RUNTIME_DIR/orchestrd/<home-hash>.sock``, or ``var/run/`` without one;
    where that is too long for a socket, a private folder under ``/tmp``.

    Raises `ConfigError` when every path is too long.
    """
    return socket_places(root, environ)[0]


def socket_places(root: Path, environ: dict[str, str]) -> list[Path]:
    """
    Where the control socket of the home *root* may lie, the best place first: that is `socket_path`, the others are for when
    it is lost.

    Raises `ConfigError` when every path is too long.
    """
    runtime = environ.get("XDG_RUNTIME_DIR")
    name = f"{home_name(root)}.sock"
    folders = [root / "var" / "run", Path(environ.get("TMPDIR") or "/tmp") / f"orchestrd-{os.getuid()}"]  # noqa: S108 - verified to be ours before use
    if runtime and Path(runtime).is_dir():
        folders.insert(0, Path(runtime) / "orchestrd")
    places = [folder / name for folder in folders if len(os.fsencode(folder / name)) <= SOCKET_PATH_LIMIT]
    if not places:
        raise ConfigError(
            f"{folders[0] / name}: too long for a Unix socket ({SOCKET_PATH_LIMIT} bytes)",
            hint="Set XDG_RUNTIME_DIR to a short folder of your own, or move the home to a shorter path.",
        )
    return places


def served_socket(root: Path, environ: dict[str, str]) -> Path:
    """
    Where the daemon of the home *root* listens: what it wrote beside its lock, which a client with another environment
    (a service manager's, a cron job's) could not work out; else `socket_path`.

    What is written in a home that was copied or moved is where another home's daemon may listen: it is believed only when it
    is a socket of this home, or of a process that has this very lock file open.

    Raises `ConfigError`.
    """
    lock = root / LOCK_FILE
    said = notice(lock)
    if said.what and Path(said.what).is_socket():
        name = f"{home_name(root)}.sock"
        if Path(said.what).name == name or holder(lock) is not None:
            return Path(said.what)
    return socket_path(root, environ)


def notice(lock: Path) -> Notice:
    """
    What the lock file *lock* says; nothing is waited for, whatever lies there.
    """
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
            pid, what = [*file.read(4096).splitlines(), "", ""][:2]
    except OSError:
        return Notice(None, "")
    return Notice(int(pid) if pid.isdecimal() else None, what)


def holder(lock: Path) -> int | None:
    """
    The process that holds the lock file *lock*, or None; this process is none, whatever it holds.

    Told by who has the file open, never by trying the lock: a daemon that starts at that moment would find it taken.
    """
    pid = notice(lock).pid
    try:
        found = lock.stat()
        entries = list(Path(f"/proc/{pid}/fd").iterdir()) if pid not in (None, os.getpid()) else []
    except OSError:
        return None
    for entry in entries:
        try:
            if os.path.samestat(entry.stat(), found):
                return pid
        except OSError:
            continue  # closed meanwhile
    return None
