"""
Three-way merges of whole trees, and the conflicts they meet.

git does the merging (``merge-tree --write-tree``); no file on disk takes part.  The two sides are given the base as
their common parent, so git 2.38 is enough.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import anyio
import msgspec

from orchestrd.errors import Refused
from orchestrd.workspace.git import Git, Output, shown
from orchestrd.workspace.listing import Entry, parse_tree

BOTH_CHANGED = "changed by the agent, and since then changed in the same place"
BOTH_CREATED = "created by the agent, and since then created differently"
DELETED_HERE = "changed by the agent, but no longer there"
DELETED_THERE = "deleted by the agent, but changed since"
KINDS = "a file on one side, a folder or link on the other"
SUBMODULE = "a submodule; its commits are the person's to choose"


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one run made: the snapshot it started from and the snapshot of its end, as commit ids.
    """

    base: str
    result: str


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """
    A path that cannot come over, and why.
    """

    path: str
    reason: str


class MergeConflict(Refused):
    """
    Work does not fit onto what is there now; nothing was changed.
    """

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        lines = "\n".join(f"  {shown(conflict.path)}: {conflict.reason}" for conflict in conflicts)
        count = "1 path conflicts" if len(conflicts) == 1 else f"{len(conflicts)} paths conflict"
        super().__init__(f"{count}; nothing was changed\n{lines}")
        self.conflicts = tuple(conflicts)

    @property
    def paths(self) -> tuple[str, ...]:
        """
        The paths in conflict.
        """
        return tuple(conflict.path for conflict in self.conflicts)


async def commit_tree(ours: Git, tree: str, *, parents: Sequence[str], message: str) -> str:
    """
    Make a commit of *tree* that no ref names yet; its id.
    """
    above = [word for parent in parents for word in ("-p", parent)]
    output = await ours.run("commit-tree", *above, "-F", "-", tree, stdin=message.encode("utf-8", "replace"))
    return output.line


async def merged(ours: Git, tree: str, works: Sequence[Work]) -> tuple[str, tuple[Conflict, ...]]:
    """
    The *tree* id with the *works* merged in, one after the other; or the tree so far and the first work's conflicts.

    A path may be further on than a work left it, because later ones of *works* went on from there and were brought over
    before: that is no conflict.
    """
    for number, work in enumerate(works):
        output, conflicts = await _merge(ours, tree, work.base, f"{work.result}^{{tree}}")
        if conflicts:
            paths = [conflict.path for conflict in conflicts]
            ahead = await _further_on(ours, tree, works[number:], paths)
            if ahead:
                rest = await _without(ours, work, ahead)
                output, conflicts = await _merge(ours, tree, work.base, rest)
            if conflicts:
                return tree, conflicts
        tree = output
    return tree, ()


async def _merge(ours: Git, tree: str, base: str, other_tree: str) -> tuple[str, tuple[Conflict, ...]]:
    side = await commit_tree(ours, tree, parents=(base,), message="here")
    other = await commit_tree(ours, other_tree, parents=(base,), message="there")
    output = await ours.run("merge-tree", "--write-tree", "-z", side, other, expect=(0, 1))
    conflicts = _conflicts(output, side, other) if output.code else ()
    return output.records[0].decode("ascii"), conflicts


async def _further_on(ours: Git, tree: str, works: Sequence[Work], paths: Sequence[str]) -> dict[str, Entry | None]:
    """
    Those of *paths* that hold in *tree* what a chain of works, beginning with the first one, made of them; with what
    the first one started from.
    """
    here = await _entries(ours, tree, paths)
    start = await _entries(ours, works[0].base, paths)
    reached = await _entries(ours, works[0].result, paths)
    found: dict[str, Entry | None] = {}
    for work in works[1:]:
        before, after = await _entries(ours, work.base, paths), await _entries(ours, work.result, paths)
        for path in paths:
            if before.get(path) == reached.get(path) != after.get(path):
                reached[path] = after.get(path)
                if reached[path] == here.get(path):
                    found[path] = start.get(path)
    return found


async def _entries(ours: Git, tree: str, paths: Sequence[str]) -> dict[str, Entry | None]:
    output = await ours.run("ls-tree", "-r", "-z", "--full-tree", tree)
    wanted = {os.fsencode(path) for path in paths}
    return {os.fsdecode(path): entry for path, entry in parse_tree(output) if path in wanted}


async def _without(ours: Git, work: Work, kept: Mapping[str, Entry | None]) -> str:
    """
    The tree of *work*'s result with the paths *kept* as they were before it.
    """
    nothing = Entry("0", "0" * len(work.result))
    lines = [
        f"{(entry or nothing).mode} {(entry or nothing).oid}\t".encode() + os.fsencode(path) + b"\0"
        for path, entry in kept.items()
    ]
    async with anyio.TemporaryDirectory(prefix="orchestrd-") as folder:
        env = {"GIT_INDEX_FILE": f"{folder}/index"}
        await ours.run("read-tree", work.result, env=env)
        await ours.run("update-index", "-z", "--replace", "--index-info", stdin=b"".join(lines), env=env)
        return (await ours.run("write-tree", env=env)).line


def _conflicts(output: Output, side: str, other: str) -> tuple[Conflict, ...]:
    """
    What ``merge-tree -z`` tells after the tree's id: a record for each stage, mode, id, stage, tab and path, up to an empty one.

    Of a file that meets a folder git moves one aside under ``path~commit``.
    """
    stages: dict[str, set[str]] = {}
    modes: dict[str, set[str]] = {}
    aside: set[str] = set()
    for record in output.records[1:]:
        if not record:
            break
        head, _, raw = record.partition(b"\t")
        mode, _, stage = head.decode("ascii").split(" ")
        path = os.fsdecode(raw)
        for commit in (side, other):
            if f"~{commit}" in path:
                path = path[: path.index(f"~{commit}")]
                aside.add(path)
        stages.setdefault(path, set()).add(stage)
        modes.setdefault(path, set()).add(mode)
    reasons = {
        frozenset("123"): BOTH_CHANGED,
        frozenset("23"): BOTH_CREATED,
        frozenset("13"): DELETED_HERE,
        frozenset("12"): DELETED_THERE,
    }
    found = []
    for path in sorted(stages):
        if "160000" in modes[path]:
            reason = SUBMODULE
        elif path in aside:
            reason = KINDS
        else:
            reason = reasons.get(frozenset(stages[path]), KINDS)
        found.append(Conflict(path=path, reason=reason))
    return tuple(found)
