"""
Bringing work over into the project: files only, unstaged, everything or nothing.

``plan`` merges the works with the project as it lies on disk now and looks for whatever stands in the way; it touches
nothing.  ``apply`` takes a plan without conflicts.  Neither writes anything under the project's ``.git``.  What the
project held before is kept under ``refs/orchestrd/before-apply/N`` of our repository.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio.to_thread
import msgspec

from orchestrd.workspace import transaction
from orchestrd.workspace.disk import digest, mode_of
from orchestrd.workspace.merge import SUBMODULE, Conflict, MergeConflict, Work, merged
from orchestrd.workspace.repository import Repository, ref_name
from orchestrd.workspace.trees import GITLINK, Step, above, steps

BEFORE = ref_name("before-apply")

UNTRACKED = "an ignored file is there already, with other content"
IN_THE_WAY = "a folder with other files in it is there already"
ODD = "something that is neither file nor link is there already"
LINKED = "its folder is a symbolic link"
BLOCKED = "a file is there where its folder should be"
FOREIGN = "inside another git repository"
RESERVED = "a name that git keeps for itself"
OUT = "part of the home, not of the project"
ABSENT = "not on disk (a sparse checkout leaves it out)"
MOVED = "changed while the plan was made"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    What ``apply`` would do: *steps*, the paths that are *already* as the works want them, and the *conflicts*.

    *before* is the commit of the project as the plan saw it.  With conflicts there is nothing to apply.
    """

    before: str
    steps: tuple[Step, ...]
    already: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    @property
    def created(self) -> tuple[str, ...]:
        """
        Paths that are new.
        """
        return tuple(step.path for step in self.steps if step.old is None)

    @property
    def modified(self) -> tuple[str, ...]:
        """
        Paths whose content, mode or kind changes.
        """
        return tuple(step.path for step in self.steps if step.old is not None and step.new is not None)

    @property
    def deleted(self) -> tuple[str, ...]:
        """
        Paths that go.
        """
        return tuple(step.path for step in self.steps if step.new is None)


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was done, in paths; *before* is the ref that keeps the project as it was, None when nothing had to be done.
    """

    created: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    before: str | None = None


async def landed(repo: Repository) -> list[transaction.Landing]:
    """
    What was applied with a note and not forgotten yet: it may not be recorded.
    """
    return await anyio.to_thread.run_sync(transaction.landed, repo.project.path, str(repo.path))


async def forget(landing: transaction.Landing) -> None:
    """
    Remove what is kept of an apply that is recorded.
    """
    await anyio.to_thread.run_sync(transaction.forget, landing.place)


async def plan(repo: Repository, works: Sequence[Work]) -> Plan:
    """
    What bringing *works* over, in this order, would do to the project as it is now.

    Raises Refused while another program applies work to the project, StorageError when an apply was cut off and cannot be
    taken back.
    """
    await repo.recover()
    before = await repo.base(message="before apply")
    after, conflicts = await merged(repo.git, before.tree_id, works)
    if conflicts:
        return Plan(before=before.commit, steps=(), conflicts=conflicts)
    wanted = await steps(repo.git, before.tree_id, after)
    survey = _Survey(repo.project.path, wanted, repo.keep_out, repo.project.object_format)
    todo, found = await anyio.to_thread.run_sync(survey.look)
    touched = {path for work in works for path in await _paths(repo, work)}
    already = touched.difference(step.path for step in todo).difference(conflict.path for conflict in found)
    return Plan(
        before=before.commit, steps=() if found else todo, already=tuple(sorted(already)), conflicts=tuple(found)
    )


async def apply(repo: Repository, made: Plan, *, note: str | None = None) -> Applied:
    """
    Carry out the plan *made*.  With a *note* it is ``landed`` until it is forgotten, whatever dies meanwhile; a plan without
    steps leaves nothing.

    Raises MergeConflict when it has conflicts, Refused when a file has changed since, StorageError when writing failed.
    In every case the project is as it was.
    """
    if made.conflicts:
        raise MergeConflict(made.conflicts)
    if not made.steps:
        return Applied(already=made.already)
    async with repo.landing:
        stage = await anyio.to_thread.run_sync(transaction.Staging, repo.project.path)
        try:
            await _fill(repo, stage.new, made.steps)
            before = await _remember(repo, made.before)
            land = partial(transaction.land, owner=str(repo.path), note=note)
            await anyio.to_thread.run_sync(land, repo.project.path, stage, made.steps, repo.project.object_format)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(stage.close)
    return Applied(
        created=made.created, modified=made.modified, deleted=made.deleted, already=made.already, before=before
    )


async def _paths(repo: Repository, work: Work) -> list[str]:
    return [step.path for step in await steps(repo.git, work.base, work.result)]


async def _fill(repo: Repository, place: Path, todo: Sequence[Step]) -> None:
    """
    Write the new files out beneath *place*.
    """
    lines = [f"{step.new.mode} {step.new.oid}\t".encode() + os.fsencode(step.path) for step in todo if step.new]
    env = {"GIT_WORK_TREE": str(place), "GIT_INDEX_FILE": str(place.parent / "index")}
    await repo.git.run("update-index", "-z", "--index-info", stdin=b"\0".join([*lines, b""]), env=env, cwd=place)
    await repo.git.run("checkout-index", "--all", env=env, cwd=place)


async def _remember(repo: Repository, commit: str) -> str:
    """
    Name *commit* with the next free ref.
    """
    numbers = [int(name.rpartition("/")[2]) for name in await repo.refs(BEFORE)]
    ref = f"{BEFORE}/{max(numbers, default=0) + 1}"
    await repo.git.run("update-ref", ref, commit)
    return ref


class _Survey:
    """
    Looks at the disk for whatever a merge of trees cannot see.
    """

    def __init__(self, project: Path, wanted: Sequence[Step], keep_out: Sequence[Path], algorithm: str) -> None:
        self._project = project
        self._wanted = wanted
        self._keep_out = keep_out
        self._algorithm = algorithm
        self._leaving = {step.path for step in wanted if step.new is None}
        self._folders: dict[str, str | None] = {"": None}

    def look(self) -> tuple[tuple[Step, ...], list[Conflict]]:
        """
        The steps that are still to be taken, and what is in the way.
        """
        todo: list[Step] = []
        conflicts: list[Conflict] = []
        for step in self._wanted:
            reason = self._barred(step) or self._folder(step.path.rpartition("/")[0]) or self._target(step)
            if reason is None:
                todo.append(step)
            elif reason:
                conflicts.append(Conflict(path=step.path, reason=reason))
        return tuple(todo), conflicts

    def _barred(self, step: Step) -> str | None:
        if any(name.lower() in {"", ".", "..", ".git"} for name in step.path.split("/")):
            return RESERVED
        if GITLINK in {step.old and step.old.mode, step.new and step.new.mode}:
            return SUBMODULE
        if any((self._project / step.path).is_relative_to(folder) for folder in self._keep_out):
            return OUT
        return None

    def _folder(self, path: str) -> str | None:
        """
        Why nothing can be put into the folder *path*, or None.
        """
        if path not in self._folders:
            reason = self._folder(path.rpartition("/")[0])
            if reason is None and path not in self._leaving:
                mode = mode_of(self._project / path)
                if stat.S_ISLNK(mode):
                    reason = LINKED
                elif mode and not stat.S_ISDIR(mode):
                    reason = BLOCKED
                elif mode_of(self._project / path / ".git"):
                    reason = FOREIGN
            self._folders[path] = reason
        return self._folders[path]

    def _target(self, step: Step) -> str | None:
        """
        Why the file itself cannot come; empty when it is there already; None when it can.
        """
        if any(folder in self._leaving for folder in above(step.path)):
            return None
        now = digest(str(self._project / step.path), algorithm=self._algorithm)
        if now == step.new:
            return ""
        if now != step.old:
            if step.old is None:
                return UNTRACKED
            return ABSENT if now is None else MOVED
        if now is None and (mode := mode_of(self._project / step.path)):
            return self._standing(step.path) if stat.S_ISDIR(mode) else ODD
        return None

    def _standing(self, path: str) -> str | None:
        for inside, folders, files in os.walk(self._project / path):
            links = [name for name in folders if (Path(inside) / name).is_symlink()]
            for name in (*files, *links):
                if str((Path(inside) / name).relative_to(self._project)) not in self._leaving:
                    return IN_THE_WAY
        return None
