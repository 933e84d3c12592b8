"""
What to do when the machine is short of something: nothing is wrong with what was asked for, and it passes.

A process that has no file descriptor left cannot look at a lock.  That it cannot look must never be read as "the lock is
free": a healthy agent would be taken for dead.  A full disk is told from every other failure for the same reason.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import anyio

from orchestrd.errors import DiskFull, NotNow, OrchestrdError

PAUSE = 0.5
"""Seconds until what a shortage prevented is tried again."""
PROBE_BYTES = 64 * 1024
LOW_BYTES = 1 << 30
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_WORDS = tuple(os.strerror(number) for number in _FULL)
"""What programs say of it under ``LC_ALL=C``."""
_SHORT = _FULL | {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
DoneT = TypeVar("DoneT")


class Busy(OSError):
    """
    Another process is at it for a moment.
    """


def says_full(text: str) -> bool:
    """
    True when a program's complaint is about a full disk or quota.
    """
    return any(words in text for words in _WORDS)


def says_unwritten(text: str, folder: Path) -> bool:
    """
    True when git complains that it could not write and there is little room: its ``unable to write file`` names no reason
    (git 2.39, entry.c), and by the time it says so it has cleaned up.
    """
    if "unable to write" not in text:
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize < LOW_BYTES


def is_full(error: BaseException) -> bool:
    """
    True when *error* is, or tells of, a full disk or quota.
    """
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, DiskFull) or (isinstance(error, OrchestrdError) and says_full(error.message))


def no_room(folder: Path) -> bool:
    """
    True when nothing can be written below *folder* for want of room: tried, because quotas and reserves show in no figure.
    """
    try:
        fd = _nameless(folder)
    except OSError as error:
        return is_full(error)
    try:
        return os.write(fd, b"\0" * PROBE_BYTES) < PROBE_BYTES
    except OSError as error:
        return is_full(error)
    finally:
        os.close(fd)


def _nameless(folder: Path) -> int:
    """
    A file in *folder*, open for writing, that goes with its descriptor: who is killed while it looks leaves nothing behind.

    Raises `OSError`.
    """
    with suppress(OSError):
        return os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    # Not every file system has files without a name; whatever else was wrong is told by this one too.
    probe = folder / f".room-{os.getpid()}-{secrets.token_hex(4)}"
    fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    probe.unlink(missing_ok=True)
    return fd


def is_shortage(error: BaseException) -> bool:
    """
    True when *error*, or what it was raised from, says nothing about what was asked for: descriptors, memory or room on
    the disk were missing, or another process was at it.
    """
    found = (error, error.__cause__)
    return any(
        isinstance(e, Busy | NotNow) or (isinstance(e, OSError) and e.errno in _SHORT) or (e is not None and is_full(e))
        for e in found
    )


async def patiently(act: Callable[[], Awaitable[DoneT]]) -> DoneT:
    """
    What *act* gives, tried again until no shortage keeps it from being done; so *act* must bear being broken off.
    """
    while True:
        try:
            return await act()
        except Exception as error:
            if not is_shortage(error):
                raise
        await anyio.sleep(PAUSE)
