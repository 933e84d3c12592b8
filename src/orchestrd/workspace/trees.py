"""
git's trees as values: what a path holds, how two trees differ, and a tree with some paths changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import anyio
import msgspec

from orchestrd.workspace.git import Git

FILE, PROGRAM, LINK, GITLINK = "100644", "100755", "120000", "160000"
NOTHING = "000000"


class Entry(msgspec.Struct, frozen=True):
    """
    What a path holds: mode as git writes it (``100644``, ``100755``, ``120000``, ``160000``) and object id.
    """

    mode: str
    oid: str

    @property
    def ordinary(self) -> bool:
        """
        True for a file, executable or not.
        """
        return self.mode in {FILE, PROGRAM}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """
    One path that differs between two trees: what it held and what it holds, None for nothing.
    """

    path: str
    old: Entry | None
    new: Entry | None


def above(path: str) -> Iterator[str]:
    """
    The folders *path* lies in, nearest first, without the top.
    """
    at = path.rfind("/")
    while at > 0:
        yield path[:at]
        at = path.rfind("/", 0, at)


async def entries(ours: Git, tree: str) -> dict[bytes, Entry]:
    """
    Every path of *tree* (of a commit or tree id) with what it holds, in git's order.
    """
    output = await ours.run("ls-tree", "-r", "-z", "--full-tree", tree)
    found: dict[bytes, Entry] = {}
    for record in output.records:
        head, _, path = record.partition(b"\t")
        mode, _, oid = head.decode("ascii").split(" ")
        found[path] = Entry(mode, oid)
    return found


async def steps(ours: Git, before: str, after: str) -> tuple[Step, ...]:
    """
    The paths that differ between *before* and *after* (commit or tree ids); a renamed file is two of them.
    """
    output = await ours.run("diff-tree", "-r", "-z", "--no-renames", "--raw", "--no-abbrev", before, after)
    records = iter(output.records)
    found = []
    for record in records:
        old_mode, mode, old, new, _ = record[1:].decode("ascii").split(" ")
        found.append(Step(path=os.fsdecode(next(records)), old=_entry(old_mode, old), new=_entry(mode, new)))
    return tuple(found)


async def edited(ours: Git, tree: str | None, changes: Mapping[str, Entry | None]) -> str:
    """
    The id of *tree* (None: the empty one) with *changes* made, None for a path that goes.
    """
    async with anyio.TemporaryDirectory(prefix="orchestrd-") as folder:
        env = {"GIT_INDEX_FILE": f"{folder}/index"}
        if tree is not None:
            await ours.run("read-tree", tree, env=env)
        # What goes comes first, so that a file can take a folder's place.
        ordered = sorted(changes.items(), key=lambda item: item[1] is not None)
        await ours.run("update-index", "-z", "--index-info", stdin=b"".join(_lines(ordered)), env=env)
        return (await ours.run("write-tree", env=env)).line


def _lines(changes: list[tuple[str, Entry | None]]) -> Iterator[bytes]:
    # Any id will do where a path goes, if it is of the right length: there is none to compare with in an empty tree.
    width = max((len(entry.oid) for _, entry in changes if entry), default=40)
    for path, entry in changes:
        what = f"{entry.mode} {entry.oid}" if entry else f"0 {'0' * width}"
        yield what.encode("ascii") + b"\t" + os.fsencode(path) + b"\0"


def _entry(mode: str, oid: str) -> Entry | None:
    return None if mode == NOTHING else Entry(mode, oid)
