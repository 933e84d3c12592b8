"""
Where the daemon of a home is found: the lock that it holds, what it says there, and its socket.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from orchestrd import locks
from orchestrd.errors import ConfigError

SOCKET_PATH_LIMIT = 107
"""Bytes: ``sun_path`` of Linux's ``AF_UNIX`` addresses without its closing NUL."""
LOCK_FILE = "var/orchestrd.lock"
"""
Held by the daemon; its process id and its socket's path, one a line.  A command's holds its name in the path's place.
"""
HOLD_SECONDS = 15.0
"""How long a command that holds the lock for a moment is waited for."""


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
    is a socket of this home, or of a process that holds this very lock.

    Raises `ConfigError`.
    """
    lock = root / LOCK_FILE
    _, said = locks.notice(lock)
    if said and Path(said).is_socket():
        name = f"{home_name(root)}.sock"
        if Path(said).name == name or holder(lock) is not None:
            return Path(said)
    return socket_path(root, environ)


def holder(lock: Path) -> int | None:
    """
    The process that serves the home of the lock file *lock*, or is its writer for a moment; None when there is none.  This
    process is none, whatever it holds, nor is who has the lock and does not say so.
    """
    try:
        pid = locks.daemon(lock)
    except OSError:
        return None
    return pid if pid != os.getpid() else None
