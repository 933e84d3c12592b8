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
Held by the daemon; its process id, its socket's path and the file's own identity, one a line.  A command's holds its name in the
path's place.
"""
HOLD_SECONDS = 15.0
"""How long a command that holds the lock for a moment is waited for."""


class Notice(NamedTuple):
    """
    What a lock file says: the process that took it last, and where that listens or what for it took it.

    *own* is False in a copy of the file that was meant, None where it does not say (in the first release).
    """

    pid: int | None
    what: str
    own: bool | None


def home_name(root: Path) -> str:
    """
    A short name of the home *root* that no other home of this machine has: 16 hexadecimal digits.
    """
    return hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]


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

    What is written in a copy of a home is where the original's daemon listens: it is believed only when it says that it is
    about this very file, or names a socket of this home.

    Raises `ConfigError`.
    """
    said = notice(root / LOCK_FILE)
    if said.what and Path(said.what).is_socket():
        own = Path(said.what).name == f"{home_name(root)}.sock" if said.own is None else said.own
        if own:
            return Path(said.what)
    return socket_path(root, environ)


def notice(lock: Path) -> Notice:
    """
    What the lock file *lock* says; nothing is waited for, whatever lies there.
    """
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
            pid, what, about = [*file.read(4096).splitlines(), "", "", ""][:3]
            own = about == identity_of(os.fstat(fd)) if about else None
    except OSError:
        return Notice(None, "", own=None)
    return Notice(int(pid) if pid.isdecimal() else None, what, own=own)


def identity_of(found: os.stat_result) -> str:
    """
    What tells a file from its copies.
    """
    return f"{found.st_dev}:{found.st_ino}"
