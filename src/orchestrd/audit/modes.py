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
_AGENTS_OWN = ("tree", "tmp")
"""Folders of a task's workspace whose content is the agent's: the workspace above them is closed."""


def walk(home: Home) -> Iterator[tuple[Path, os.stat_result]]:
    """
    Everything in ``var/`` but links and what agents make in their own folders, with what lstat(2) says of it.
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
        if stat.S_ISDIR(status.st_mode) and not (entry.name in _AGENTS_OWN and folder.parent.parent == home.workspaces):
            yield from _below(home, path)


def _of_a_person(home: Home, path: Path, status: os.stat_result) -> bool:
    """
    True for a question's or an answer's file: people write such files too, with the modes that their editors give, into a
    folder that is closed.
    """
    return stat.S_ISREG(status.st_mode) and path.parent.parent == home.questions


def check_modes(picture: Picture) -> Notes:
    """
    I8.
    """
    notes = Notes("I8")
    for path, status in walk(picture.home):
        notes.count("paths")
        name = str(path.relative_to(picture.home.root))
        if status.st_uid != os.getuid():
            notes.problem(name, f"belongs to user {status.st_uid}", hint="Give it back with chown, or remove it.")
        elif status.st_mode & LOOSE and not _of_a_person(picture.home, path, status):
            mode = stat.S_IMODE(status.st_mode)
            hint = f"chmod go-rwx {path}; `orchctl doctor --deep --repair` does it."
            notes.problem(name, f"others may use it: mode {mode:04o}", hint=hint, mendable=True)
    return notes
