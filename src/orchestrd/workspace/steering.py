"""
What in a tree sets up the agent's own program: where it lies, wherever links lead, and what it holds, whether git lists it or not.

Nothing is waited for or read without a bound: an agent may have put anything there.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from orchestrd.locks import raise_if_short
from orchestrd.policy.scope import is_settings
from orchestrd.storage.home import write_atomic
from orchestrd.storage.regular import read_regular
from orchestrd.workspace.git import shown

FOLDER = ".claude"
FILES = (".mcp.json", "CLAUDE.local.md")
RECORD = "settings.json"
"""In a run's directory: the settings of its agent's program, as they lay in the tree when it came."""
FILE_BYTES = 1 << 20
MOST_FILES = 5_000
"""Entries of the settings that are looked at."""
RECORD_BYTES = 8 << 20
MOST_STEPS = 200
"""Parts of a path, links followed, that are walked."""


class Steering(msgspec.Struct, frozen=True):
    """
    *held* is every file and link of the settings *names*, by its path in the tree, and what it holds; *places* are the paths outside of
    those names that links in them lead to, there or not.
    """

    names: tuple[str, ...]
    held: dict[str, str]
    places: tuple[str, ...]

    def steers(self, path: str) -> bool:
        """
        True when the file *path* of the tree is one of these settings.
        """
        return is_settings(path) or path in self.held or any(_within(path, place) for place in self.places)

    def changed(self, before: Steering) -> list[str]:
        """
        The paths that are otherwise than *before*, of the names that were looked at then.
        """
        paths = sorted(self.held.keys() | before.held.keys())
        return [path for path in paths if self.held.get(path) != before.held.get(path)]


def steering(tree: Path, names: tuple[str, ...] = (FOLDER, *FILES)) -> Steering:
    """
    What sets up the agent's own program in *tree*.  Blocks.

    Raises `OSError` when it cannot be looked at now.
    """
    top, held, places, seen = os.path.realpath(tree), dict[str, str](), list[str](), set[str]()
    pending = [posixpath.join(top, name) for name in reversed(names)]
    while pending and len(seen) < MOST_FILES:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        *links, last = _trace(top, path)
        held |= {_below(link, top): _leads(link) for link in links}
        if last == top or not _within(last, top):
            continue
        if links:
            places.append(_below(last, top))
        pending += _entries(last)
        told = _held(last)
        if told is not None:
            held[_below(last, top)] = told
    return Steering(names=names, held=held, places=tuple(place for place in places if not is_settings(place)))


def keep_steering(tree: Path, rundir: Path, *, contained: bool) -> None:
    """
    Write down how the settings of the agent's program lie in *tree*, but for those that a sandbox does not let it change.
    """
    found = steering(tree)
    if contained and not found.places and not (tree / FOLDER).is_symlink():
        # A person may use the CLI meanwhile in a tree that is theirs, and it writes there what they allow.
        found = steering(tree, FILES)
    write_atomic(rundir / RECORD, msgspec.json.encode(found))


def read_steering(path: Path) -> Steering | None:
    """
    What was written to the file at *path*; None where there is none that can be read.
    """
    try:
        return msgspec.json.decode(read_regular(path, RECORD_BYTES), type=Steering)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    except OSError as error:
        raise_if_short(error)
        return None


def _trace(top: str, path: str) -> list[str]:
    """
    The links in *top* that *path* leads over, and at last where it leads.
    """
    found: list[str] = []
    here, pending = "/", path.split("/")[::-1]
    for _ in range(MOST_STEPS):
        if not pending:
            break
        part = pending.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            here = posixpath.dirname(here)
            continue
        step = posixpath.join(here, part)
        try:
            leads = str(Path(step).readlink())
        except OSError as error:
            raise_if_short(error)
            here = step
            continue
        if _within(step, top):
            found.append(step)
        here = "/" if leads.startswith("/") else here
        pending += leads.split("/")[::-1]
    return [*found, here]


def _leads(link: str) -> str:
    try:
        return f"a link to {shown(str(Path(link).readlink()))}"
    except OSError as error:
        raise_if_short(error)
        return "gone"


def _entries(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entry.path for entry in entries)
    except OSError as error:
        raise_if_short(error)
        return
    # Whole trees of the CLI's own making, with settings of their own.
    yield from (path for path in reversed(listed) if posixpath.basename(path) != "worktrees")


def _held(path: str) -> str | None:
    """
    What the file at *path* holds; None where there is none.
    """
    try:
        looks = os.lstat(path)
        if stat.S_ISDIR(looks.st_mode):
            return None
        if not stat.S_ISREG(looks.st_mode):
            return "a special file"
        data = read_regular(Path(path), FILE_BYTES)
    except OSError as error:
        raise_if_short(error)
        return None
    return hashlib.sha256(data).hexdigest()[:16] if len(data) == looks.st_size else f"{looks.st_size} bytes"


def _below(path: str, top: str) -> str:
    return shown(path[len(top.rstrip("/")) + 1 :])


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
