"""
Three-way merges of whole trees, path by path, and the conflicts they meet.

A path that one side changed is that side's.  Where both changed the content of one file, git merges the text
(``merge-tree``, given nothing but those files).  Renames are not guessed: git would move a person's edit into a file that
they did not touch, and git before 2.50 cannot be told not to.  No file on disk takes part.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from orchestrd.errors import Refused
from orchestrd.workspace.git import Git, shown
from orchestrd.workspace.trees import FILE, GITLINK, Entry, Step, above, edited, entries, steps

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
        merge = _Merge(await steps(ours, work.base, tree), await steps(ours, work.base, work.result))
        if merge.texts:
            await _merge_texts(ours, merge)
        for path in await _further_on(ours, works[number:], {path: merge.here[path] for path in merge.reasons}):
            del merge.reasons[path]
        if any(merge.taken.values()):
            merge.check_places(map(os.fsdecode, await entries(ours, tree)))
        if merge.reasons:
            found = sorted(merge.reasons.items())
            return tree, tuple(Conflict(path=path, reason=reason) for path, reason in found)
        if merge.taken:
            tree = await edited(ours, tree, merge.taken)
    return tree, ()


class _Merge:
    """
    One work on its way: what is *taken* over (None: the path goes), whose *texts* both sides changed (base, here, there),
    and the *reasons* against the rest.
    """

    def __init__(self, here: Sequence[Step], there: Sequence[Step]) -> None:
        self.here = {step.path: step.new for step in here}
        self.taken: dict[str, Entry | None] = {}
        self.texts: dict[str, tuple[Entry | None, Entry, Entry]] = {}
        self.reasons: dict[str, str] = {}
        for step in there:
            if step.path not in self.here:
                self.taken[step.path] = step.new
            elif self.here[step.path] != step.new:
                self._both(step.path, step.old, self.here[step.path], step.new)

    def _both(self, path: str, was: Entry | None, here: Entry | None, there: Entry | None) -> None:
        if any(entry and entry.mode == GITLINK for entry in (was, here, there)):
            self.reasons[path] = SUBMODULE
        elif here is None:
            self.reasons[path] = DELETED_HERE
        elif there is None:
            self.reasons[path] = DELETED_THERE
        elif here.ordinary != there.ordinary:
            self.reasons[path] = KINDS
        elif not here.ordinary or (was and not was.ordinary) or (was is None and here.mode != there.mode):
            self.reasons[path] = BOTH_CHANGED if was else BOTH_CREATED
        elif was and was.oid in {here.oid, there.oid}:
            self.taken[path] = Entry(_mode(was, here, there), there.oid if here.oid == was.oid else here.oid)
        else:
            self.texts[path] = (was, here, there)

    def check_places(self, paths: Iterable[str]) -> None:
        """
        Refuse what would make a file stand where the merged tree, which has *paths* so far, has a folder.
        """
        left = {path for path in paths if self.taken.get(path, path) is not None}
        final = left | {path for path, entry in self.taken.items() if entry is not None}
        folders = {folder for path in final for folder in above(path)}
        for path, entry in self.taken.items():
            if entry is not None and (path in folders or any(folder in final for folder in above(path))):
                self.reasons[path] = KINDS


def _mode(was: Entry, here: Entry, there: Entry) -> str:
    return there.mode if here.mode == was.mode else here.mode


async def _merge_texts(ours: Git, merge: _Merge) -> None:
    """
    Have git merge the contents that both sides changed.  Two new files are merged as if both had begun empty.
    """
    sides: list[dict[str, Entry | None]] = [{}, {}, {}]
    for path, versions in merge.texts.items():
        for side, entry in zip(sides, versions, strict=True):
            if entry is not None:
                side[path] = Entry(FILE, entry.oid)
    base, here, there = [await edited(ours, None, side) for side in sides]
    root = await commit_tree(ours, base, parents=(), message="base")
    one, other = [await commit_tree(ours, tree, parents=(root,), message="side") for tree in (here, there)]
    output = await ours.run("merge-tree", "--write-tree", "-z", one, other, expect=(0, 1))
    tree, *records = output.records
    failed: set[str] = set()
    for record in records if output.code else ():
        if not record:
            break
        failed.add(os.fsdecode(record.partition(b"\t")[2]))
    result = await entries(ours, tree.decode("ascii"))
    for path, (was, mine, theirs) in merge.texts.items():
        if path in failed:
            merge.reasons[path] = BOTH_CHANGED if was else BOTH_CREATED
        else:
            mode = _mode(was, mine, theirs) if was else mine.mode
            merge.taken[path] = Entry(mode, result[os.fsencode(path)].oid)


async def _further_on(ours: Git, works: Sequence[Work], here: Mapping[str, Entry | None]) -> set[str]:
    """
    The paths of *here* that hold what a chain of *works*, each going on where one before it stopped, made of them.
    """
    found: set[str] = set()
    if not here or len(works) == 1:
        return found
    reached: dict[bytes, Entry | None] = {**await entries(ours, works[0].result)}
    for work in works[1:]:
        before, after = await entries(ours, work.base), await entries(ours, work.result)
        for path, now in here.items():
            name = os.fsencode(path)
            if before.get(name) == reached.get(name) != after.get(name):
                reached[name] = after.get(name)
                if reached[name] == now:
                    found.add(path)
    return found
