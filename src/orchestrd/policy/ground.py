"""
What is known of files while a command line is followed: what kind of place they lie in, and what is in them.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrd.policy.origin import Origin
from orchestrd.policy.scope import Files, Place, Scope
from orchestrd.policy.shell.marks import HOLE, is_known
from orchestrd.policy.shell.paths import absolute
from orchestrd.policy.shell.state import State, Values
from orchestrd.policy.shell.walk import Walk


class Ground(Walk):
    """
    A walk in a *scope*, from the folder *cwd* on; *files* are read where the command line has not written them itself.
    """

    def __init__(self, scope: Scope, cwd: str, files: Files) -> None:
        known: dict[str, Values] = {
            "HOME": (scope.home,),
            "IFS": (" \t\n",),
            "SHELL": ("/bin/bash",),
            "OPTIND": ("1",),
        }
        if scope.scratch:
            known["TMPDIR"] = (scope.scratch[0],)
        super().__init__(State((cwd,), known))
        self.scope = scope
        self.disk = files
        self.unpacked: list[str] = []
        """Folders that something unknown was unpacked into."""
        self.arrived: list[str] = []
        """Where the command line moves something to."""
        self.read: dict[str, str] = {}
        """The files on disk that were read: path, as seen from the tree, to the text, or where that cannot be read to the state."""

    def place(self, path: str, cwd: str) -> Place:
        """
        What kind of place *path* is, symbolic links followed as far as anything is known of them.
        """
        self.spend(0.2 + len(path) / 1000)
        place = self.scope.place(path, cwd)
        if place is Place.TREE and is_known(path) and is_known(cwd):
            full = absolute(path, cwd)
            target = self.state.links.get(full) or self.disk.resolve(full)
            if target != full:
                return self.scope.place(target, cwd)
        return place

    def content(self, path: str) -> str:
        """
        What is in the file *path*: written just now, or on disk.
        """
        known = super().content(path)
        if known != HOLE or self.is_new(path):
            return known
        found = self.on_disk(path)
        return known if found is None else found

    def on_disk(self, path: str) -> str | None:
        """
        What lies in the file *path* of the tree or of scratch, or None.  Whatever is read counts: leave that a person gives is for
        a call that would do the same (`policy.acts`).
        """
        cwd = self.state.cwd[-1]
        if not is_known(path) or not is_known(cwd) or self.scope.place(path, cwd) not in {Place.TREE, Place.SCRATCH}:
            return None
        full = absolute(path, cwd)
        found = self.disk.read(full)
        known = self.disk.state(full) if found is None else found
        if found is not None or known:
            self.read[full.removeprefix(self.scope.tree.rstrip("/") + "/")] = known
        return found

    def origin(self, path: str) -> Origin:
        """
        Who wrote what is in the file *path* of the tree or of scratch.
        """
        if self.is_new(path):
            return Origin.LINE
        return Origin.PROJECT if self.disk.settled(absolute(path, self.state.cwd[-1])) else Origin.AGENT

    def is_new(self, path: str) -> bool:
        """
        True when *path* was written by the command line itself.
        """
        full = absolute(path, self.state.cwd[-1])
        return full in self.state.files or any(full.startswith(folder) for folder in self.unpacked)

    def is_made(self, path: str) -> bool:
        """
        True when the file *path* was made by the command line or by the agent, and is no file of the project's that they changed.
        """
        return self.is_new(path) or self.disk.made(absolute(path, self.state.cwd[-1]))

    def is_whole(self, folders: Iterable[str]) -> bool:
        """
        True when one of *folders* is the tree, or holds it.
        """
        here = self.state.cwd[-1]
        tree = self.scope.tree.rstrip("/") + "/"
        return any(is_known(one) and tree.startswith(absolute(one, here).rstrip("/") + "/") for one in folders)

    def is_own(self, path: str) -> bool:
        """
        True when the agent made what is at *path*: by the command line itself, where nothing was before, or earlier.
        """
        full = absolute(path, self.state.cwd[-1])
        if not is_known(full) or not all(map(is_known, self.arrived)):
            return False
        if any(one == full or one.startswith(full + "/") or full.startswith(one + "/") for one in self.arrived):
            return False
        return (full in self.state.files and not self.disk.exists(full)) or self.disk.made(full)

    def is_fresh(self, path: str) -> bool:
        """
        True when what lies in the file *path* may not run unseen: the command line wrote it, or the agent did and no sandbox keeps it.
        """
        author = self.origin(path)
        return author is Origin.LINE or (
            author is Origin.AGENT and not self.scope.contained and self.on_disk(path) is not None
        )

    def written(self, suffix: str) -> list[str]:
        """
        The paths ending in *suffix* that the command line itself wrote.
        """
        return [path for path in self.state.files if path.endswith(suffix)]
