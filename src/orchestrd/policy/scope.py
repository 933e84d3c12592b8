"""
Where an agent works, and what kind of place a path is.
"""

from __future__ import annotations

import posixpath
import re
from enum import Enum
from typing import Protocol

import msgspec

from orchestrd.policy.amendments import Amendments
from orchestrd.policy.shell.marks import filled, is_known
from orchestrd.policy.shell.paths import absolute
from orchestrd.policy.shell.patterns import fitting


class Files(Protocol):
    """
    What a judge may learn of the files of the tree; it changes none.
    """

    def read(self, path: str) -> str | None:
        """
        The text of the file *path* (absolute), or None where there is none that can be read whole.
        """

    def state(self, path: str) -> str:
        """
        What tells the file *path* (absolute) from what it was, without its text; empty where there is nothing, or nothing is known.
        """

    def resolve(self, path: str) -> str:
        """
        *path* (absolute) with every symbolic link followed.
        """

    def settled(self, path: str) -> bool:
        """
        True when the file *path* (absolute) is as it was before the agent came.
        """

    def exists(self, path: str) -> bool:
        """
        True when anything is at *path* (absolute), or that is not known.
        """

    def made(self, path: str) -> bool:
        """
        True when all that lies at *path* (absolute; it may be a pattern) was made by the agent, and nothing of it was there before.
        """


class NoFiles:
    """
    Nothing is known of any file: a verdict on the text alone.
    """

    def read(self, path: str) -> str | None:
        del path
        return None

    def state(self, path: str) -> str:
        del path
        return ""

    def resolve(self, path: str) -> str:
        return path

    def settled(self, path: str) -> bool:
        del path
        return True

    def exists(self, path: str) -> bool:
        del path
        return True

    def made(self, path: str) -> bool:
        del path
        return False


class Place(Enum):
    """
    What lies at a path, as the rules tell places apart.
    """

    TREE = "tree"
    REPOSITORY = "repository"
    """Inside of ``.git``."""
    SETTINGS = "settings"
    """What the agent's own program is set up by, such as ``.claude``."""
    OWN = "own"
    """What runs the agents: the home's state and settings, the CLI's own folder."""
    SCRATCH = "scratch"
    DEVICE = "device"
    """Harmless: ``/dev/null`` and the like."""
    PROGRAMS = "programs"
    """Where the system's programs are: they may be run and looked for, not changed."""
    READABLE = "readable"
    """Outside, and may be read all the same."""
    OUTSIDE = "outside"
    UNKNOWN = "unknown"


_DEVICES = re.compile(
    r"/dev/(?:null|zero|full|u?random|tty|std(?:in|out|err)|fd(?:/\d+)?|ptmx|shm/…)|/proc/self/fd/\d+"
)
_PROGRAMS = re.compile(r"/(?:usr/(?:local/)?)?s?bin(?:/[^/]*)?|/usr/(?:local/)?lib(?:exec)?/git-core(?:/[^/]*)?")
_SETTINGS = re.compile(r"(?:^|/)(?:\.claude(?:/|$)|\.mcp\.json$|CLAUDE\.local\.md$)")
_WILD = re.compile(r"[*?\[]")
_GUARDED = {".git": Place.REPOSITORY, ".claude": Place.SETTINGS}
"""Folders of a tree that a pattern may stand for."""


def is_settings(path: str) -> bool:
    """
    True when the file *path* of a tree, as seen from there, sets up the agent's own program, and so what the next one runs.
    """
    return bool(_SETTINGS.search(path))


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where an agent works: absolute, normalised paths.  *tree* is its working tree, *scratch* folders and files besides it
    that it may write, and *readable* others that it may read, as prefixes; *home* is what ``~`` stands for, which is the
    person's.

    *contained*: a sandbox keeps the agent in there, whatever it runs.  *guarded* is what runs the agents: nobody opens it, but for what of the others lies in it.  *lent* and *amendments* are the
    person's own: folders that it may write too, though not what belongs to git there, and what is said beyond the rules.
    """

    tree: str
    scratch: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    home: str = "/home/agent"
    contained: bool = False
    guarded: tuple[str, ...] = ()
    lent: tuple[str, ...] = ()
    amendments: Amendments = Amendments()

    def place(self, path: str, cwd: str) -> Place:
        """
        What kind of place *path* is, seen from *cwd*; of a pattern, the most guarded one that it may match.
        """
        if not is_known(path):
            return self._partly(path, cwd)
        full = absolute(path, cwd) if path else cwd
        if not is_known(full):
            return Place.UNKNOWN
        if _WILD.search(full):
            return self._matching(full)
        return self._of(full)

    def writable(self, path: str, cwd: str) -> bool:
        """
        True when *path*, seen from *cwd*, may be written.
        """
        return self.place(path, cwd) in {Place.TREE, Place.SCRATCH, Place.DEVICE}

    def _partly(self, path: str, cwd: str) -> Place:
        """
        Of a path with holes: what stands before the first, and what the known parts say.
        """
        if _SETTINGS.search(path):
            return Place.SETTINGS
        if re.search(r"(?:^|/)\.git(?:/|$)", path):
            return Place.REPOSITORY
        start = path[: path.index("\ue000")]
        if not start.startswith("/") or not start.rstrip("/"):
            return Place.UNKNOWN
        place = self._of(absolute(posixpath.dirname(start) or "/", cwd))
        climbs = ".." in filled(path, "x").split("/")
        return Place.UNKNOWN if place in {Place.TREE, Place.SCRATCH} and climbs else place

    def _of(self, full: str) -> Place:
        if self._is_guarded(full):
            return Place.OWN
        # A tree may lie in scratch, and scratch in a tree: the nearer one counts.
        if _within(full, self.tree) and not any(
            _within(full, folder) and _within(folder, self.tree) for folder in self.scratch
        ):
            rest = full[len(self.tree.rstrip("/")) :]
            if "/.git" in rest and re.search(r"/\.git(?:/|$)", rest):
                return Place.REPOSITORY
            return Place.SETTINGS if _SETTINGS.search(rest) else Place.TREE
        if any(_within(full, folder) for folder in self.scratch):
            # What holds the tree is as dear as the tree.
            return Place.TREE if _within(self.tree, full) else Place.SCRATCH
        folder = next((one for one in self.lent if _within(full, one)), None)
        if folder is not None:
            rest = full[len(folder.rstrip("/")) :]
            if re.search(r"/\.git(?:/|$)", rest):
                return Place.REPOSITORY
            return Place.SETTINGS if _SETTINGS.search(rest) else Place.SCRATCH
        if any(_within(full, folder) for folder in self.readable):
            return Place.READABLE
        if full.startswith(("/dev/", "/proc/")):
            return Place.DEVICE if _DEVICES.fullmatch(full) else Place.OUTSIDE
        return Place.PROGRAMS if _PROGRAMS.fullmatch(full) else Place.OUTSIDE

    def _is_guarded(self, full: str) -> bool:
        """
        True when *full* lies in what is guarded, and in nothing within that which the agent has.
        """
        for guard in self.guarded:
            if _within(full, guard):
                own = (self.tree, *self.scratch, *self.readable)
                return not any(_within(full, one) and _within(one, guard) for one in own)
        return False

    def _matching(self, full: str) -> Place:
        parts = full.split("/")
        at = next(i for i, part in enumerate(parts) if _WILD.search(part))
        start = "/".join(parts[:at]) or "/"
        place = self._of(start)
        if place is Place.OUTSIDE and (_within(self.tree, start) or any(_within(one, start) for one in self.scratch)):
            return Place.OUTSIDE  # a pattern above the tree matches its neighbours too
        if place is not Place.TREE:
            return place
        for part in parts[at:]:
            # A leading dot is only matched by a dot that is written.
            if part.startswith((".", "[")):
                for name in fitting(_GUARDED, part):
                    return _GUARDED[name]
        return self._of("/".join(part for part in parts if not _WILD.search(part)))


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
