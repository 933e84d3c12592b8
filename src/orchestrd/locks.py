"""
Who has a lock on a file (flock(2)), told by what the kernel shows of every process's open files (proc(5), ``fdinfo``).

Never by trying the lock: a daemon that starts at that moment would find it taken.  And never by a number that somebody
wrote down: it may be that of a dead process, or by now of another one.

Standard library only, and importable by path: the shim knows nothing else of the package.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike

NOTICE_BYTES = 4096
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


def held(pid: int, lock: str | PathLike[str], *, shared: bool = False) -> bool:
    """
    True when the process has the file *lock* locked, itself or by inheritance; one that has it open and waits for the lock,
    or merely looks whether it is free, has not; *shared*: one that shares the lock has it too.  One that is gone, or of which we
    may see nothing, has nothing.

    Raises `OSError` when it cannot be looked at now.
    """
    kinds = ("WRITE", "READ") if shared else ("WRITE",)
    try:
        wanted = os.stat(lock)
        handles = os.scandir(f"/proc/{pid}/fd")
    except OSError as error:
        raise_if_short(error)
        return False
    with handles:
        for handle in handles:
            try:
                found = os.stat(handle.path)  # follows the handle to the open file
            except OSError:
                continue
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino) and _locked(pid, handle.name, kinds):
                return True
    return False


def holders(lock: str | PathLike[str]) -> list[int]:
    """
    Every process that has the file *lock* locked, alone or shared, as far as can be seen: what one started may have it too.

    Raises `OSError` when that cannot be looked at now.
    """
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and held(int(name), lock, shared=True)]


def notice(lock: str | PathLike[str]) -> tuple[int | None, str]:
    """
    What the lock file *lock* says: the process that took it last, and where that listens or what for it took it; None and
    an empty text where it says nothing.  Nothing is waited for, whatever lies there.
    """
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
            pid, what = [*file.read(NOTICE_BYTES).splitlines(), "", ""][:2]
    except OSError:
        return None, ""
    return (int(pid) if pid.isascii() and pid.isdecimal() else None), what


def daemon(lock: str | PathLike[str]) -> int | None:
    """
    The process that has the home's *lock* and says so in it: its daemon, or a command that is the writer for a moment.
    Who has it in silence is neither.

    Raises `OSError` when that cannot be looked at now.
    """
    pid, _ = notice(lock)
    return pid if pid is not None and held(pid, lock) else None


def _locked(pid: int, handle: str, kinds: tuple[str, ...]) -> bool:
    try:
        # Latin-1 reads whatever there is.
        with open(f"/proc/{pid}/fdinfo/{handle}", encoding="latin-1") as file:
            return any("FLOCK" in line and kind in line for line in file if line.startswith("lock:") for kind in kinds)
    except OSError as error:
        raise_if_short(error)
    return False


def raise_if_short(error: OSError) -> None:
    """
    Raise *error* when it says only that we cannot look now; else the process ended, or is another user's.
    """
    if error.errno in _SHORT:
        raise error
