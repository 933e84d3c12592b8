"""
I8: what lies in ``var/`` is ours, and nobody else may read or write it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from orchestrd.audit.finding import Notes
from orchestrd.audit.picture import Picture
from orchestrd.storage.home import Home

LOOSE = 0o077


def walk(home: Home) -> Iterator[tuple[Path, os.stat_result]]:
    """
    Everything in ``var/`` with what lstat(2) says of it, but links and what others make in folders that are closed: agents in
    their workspaces, the person among the feedback.
    """
    try:
        yield home.var, home.var.stat()
    except OSError:
        return
    yield from _below(home, home.var)


def _below(home: Home, folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # gone meanwhile
        if stat.S_ISLNK(status.st_mode):
            continue
        path = folder / entry.name
        yield path, status
        if stat.S_ISDIR(status.st_mode) and path != home.feedback and folder.parent != home.workspaces:
            yield from _below(home, path)


def loose(home: Home, path: Path, status: os.stat_result) -> bool:
    """
    True when others may use *path*, and it is not a question's or an answer's file: people write such files too, with the modes
    that their editors give, into a folder that is closed.
    """
    of_a_person = stat.S_ISREG(status.st_mode) and path.parent.parent == home.questions
    return bool(status.st_mode & LOOSE) and not of_a_person


def shared(status: os.stat_result) -> bool:
    """
    True for a file that has other names, which may lie anywhere.
    """
    return not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1


def close(path: Path, seen: os.stat_result) -> str:
    """
    Take from others what they may do with *path*, if it is still what was *seen*; gives what was done, empty when it is not.

    Raises `OSError`.
    """
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) != (seen.st_dev, seen.st_ino) or shared(found):
            return ""
        mode = stat.S_IMODE(found.st_mode)
        # Through the descriptor, whatever has the name by now; fchmod(2) takes none that was not opened to read.
        Path(f"/proc/self/fd/{fd}").chmod(mode & ~LOOSE)
        return f"mode {mode:04o} became {mode & ~LOOSE:04o}"
    finally:
        os.close(fd)


def check_modes(picture: Picture) -> Notes:
    """
    I8.
    """
    notes = Notes("I8")
    for path, status in walk(picture.home):
        notes.count("paths")
        name = str(path.relative_to(picture.home.root))
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid != os.getuid():
            notes.problem(name, f"belongs to user {status.st_uid}", hint="Give it back with chown, or remove it.")
        elif loose(picture.home, path, status) and shared(status):
            hint = f"It has other names, whose mode is the same: find them (find / -samefile {path}), then chmod or remove it."
            notes.problem(name, f"others may use it: mode {mode:04o}", hint=hint)
        elif loose(picture.home, path, status):
            hint = f"chmod go-rwx {path}; `orchctl doctor --deep --repair` does it."
            notes.problem(name, f"others may use it: mode {mode:04o}", hint=hint, mendable=True)
    return notes
