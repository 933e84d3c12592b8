"""
What a run changed: the list of files, and the difference as text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec

from orchestrd.workspace.git import shown
from orchestrd.workspace.repository import Repository


class Kind(StrEnum):
    """
    What happened to a file.  *RETYPED*: a file became a link, a link a submodule, and so on.
    """

    CREATED = "created"
    MODIFIED = "modified"
    DELETED = "deleted"
    RENAMED = "renamed"
    RETYPED = "retyped"


KINDS = {"A": Kind.CREATED, "M": Kind.MODIFIED, "D": Kind.DELETED, "R": Kind.RENAMED, "T": Kind.RETYPED}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """
    One changed file.  Modes as git writes them, ``000000`` where there is nothing; *additions* and *deletions* in lines,
    0 for a *binary* file; *old_path* only for a renamed one.
    """

    path: str
    kind: Kind
    old_path: str | None = None
    old_mode: str
    mode: str
    additions: int = 0
    deletions: int = 0
    binary: bool = False


async def renamed(repo: Repository, base: str, result: str) -> frozenset[str]:
    """
    The files of the commit *base* that are under another path in the tree *result*, as `git.shown` writes where they were.
    """
    changes = await changed_files(repo, base, result)
    return frozenset(shown(change.old_path) for change in changes if change.old_path is not None)


async def changed_files(repo: Repository, base: str, result: str) -> tuple[Change, ...]:
    """
    The files that differ between the commits *base* and *result*, sorted by path, renames recognised.
    """
    words = ("diff-tree", "-r", "-z", "-M", "--raw", "--numstat", "--no-abbrev", "--no-ext-diff", "--no-textconv")
    output = await repo.git.run(*words, base, result)
    records = iter(output.records)
    found: list[Change] = []
    counts: dict[str, tuple[str, str]] = {}
    for record in records:
        if record.startswith(b":"):
            found.append(_raw(record, records))
        else:
            added, removed, path = record.split(b"\t", 2)
            if not path:
                next(records)
                path = next(records)
            counts[os.fsdecode(path)] = (added.decode(), removed.decode())
    return tuple(sorted((_counted(change, counts) for change in found), key=lambda change: change.path))


async def diff(
    repo: Repository,
    base: str,
    result: str,
    *,
    color: bool = False,
    stat: bool = False,
    paths: Sequence[str] = (),
    limit: int | None = None,
) -> bytes:
    """
    The difference between two commits as git prints it, or a table of files when *stat*; only *paths* if any are given.

    Bytes, because files need not be UTF-8: without *color* and *limit* ``git apply`` takes it.  Output beyond *limit*
    bytes is cut at a line and ends with a note that says so.
    """
    words = ["diff", "--no-ext-diff", "--no-textconv", "-M", "--color=always" if color else "--color=never"]
    words += ["--stat=100"] if stat else ["--binary", "--full-index"]
    output = await repo.git.run(*words, base, result, "--", *paths, limit=limit)
    if not output.cut:
        return output.out
    kept = output.out[: output.out.rfind(b"\n") + 1]
    reset = b"\x1b[m" if color else b""
    return kept + reset + f"[cut after {len(kept)} bytes]\n".encode()


def _raw(record: bytes, rest: Iterator[bytes]) -> Change:
    old_mode, mode, _, _, letter = record[1:].decode("ascii").split(" ")
    path = os.fsdecode(next(rest))
    kind = KINDS[letter[:1]]
    if kind is Kind.RENAMED:
        return Change(path=os.fsdecode(next(rest)), old_path=path, kind=kind, old_mode=old_mode, mode=mode)
    return Change(path=path, kind=kind, old_mode=old_mode, mode=mode)


def _counted(change: Change, counts: dict[str, tuple[str, str]]) -> Change:
    added, removed = counts.get(change.path, ("0", "0"))
    if added == "-":
        return msgspec.structs.replace(change, binary=True)
    return msgspec.structs.replace(change, additions=int(added), deletions=int(removed))
