"""
What the policy is asked and what it answers.
"""

from __future__ import annotations

import posixpath

import msgspec


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """
    *rule* is git, db, delete, outside, exec-unknown or none; *reason* tells the agent what is forbidden and what to do
    instead.
    """

    allowed: bool
    rule: str = "none"
    reason: str = ""
    target: str = ""


ALLOW = Verdict(allowed=True)


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where an agent works: absolute, normalised paths.  *tree* is its working tree, *scratch* folders and files besides
    it that it may write, as prefixes.
    """

    tree: str
    scratch: tuple[str, ...] = ()

    def writable(self, path: str, cwd: str) -> bool:
        """
        True when *path*, seen from *cwd*, lies in the tree (outside its ``.git``), in scratch, or is a harmless device.
        """
        full = posixpath.normpath(posixpath.join(cwd, path))
        if full in ("/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty"):
            return True
        if _within(full, posixpath.join(self.tree, ".git")):
            return False
        return _within(full, self.tree) or any(_within(full, place) for place in self.scratch)

    def in_tree(self, path: str, cwd: str) -> bool:
        """
        True when *path*, seen from *cwd*, lies in the tree.
        """
        return _within(posixpath.normpath(posixpath.join(cwd, path)), self.tree)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def deny(rule: str, reason: str, target: str) -> Verdict:
    """
    A denial about *target*, which is cut to what a person reads.
    """
    return Verdict(allowed=False, rule=rule, reason=reason, target=target[:200])
