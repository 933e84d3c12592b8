"""
What a run left behind: its work kept as a commit, the paths it changed, what became of its deliverables, its summary.
"""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread
import msgspec

from orchestrd.domain.events import DeliverableFound, FileChange
from orchestrd.domain.model import Deliverable
from orchestrd.storage.regular import read_text
from orchestrd.workspace.changes import changed_files
from orchestrd.workspace.git import shown
from orchestrd.workspace.repository import Repository, ref_name
from orchestrd.workspace.steering import Steering, steering

FILES_LIMIT = 500
FILES_BYTES = 64 * 1024
"""How many changed paths of a run the journal keeps, in number and in characters."""
LEFT_OUT_LIMIT = 20
"""How many paths that were too large to be kept the journal names."""
SETTINGS_LIMIT = 20
"""How many changed paths that set up the agent's own program are named."""
SUMMARY_LIMIT = 20_000
"""Characters of the summary that the journal keeps."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """
    *result* is a commit in the daemon's own repository; *files* are the first of the *file_count* changed paths, *left_out* the
    first of those that were too large to be kept.  *settings* are the first changed paths that set up the agent's own program.
    """

    result: str
    files: tuple[FileChange, ...]
    file_count: int
    left_out: tuple[str, ...]
    deliverables: tuple[DeliverableFound, ...]
    summary: str
    settings: tuple[str, ...] = ()


async def gather(
    repo: Repository,
    *,
    run: str,
    base: str,
    tree: Path,
    deliverables: tuple[Deliverable, ...],
    summary: Path,
    before: Steering | None = None,
) -> Evidence:
    """
    Keep the work in *tree* and say what it is; *before* are the settings of the agent's program as they lay on the disk when it came.

    Raises `StorageError` when git fails.
    """
    kept = await repo.snapshot(
        tree, parents=(base,), message=f"work of {run}", ref=ref_name("orchestrd", *run.split("/"), "result")
    )
    files = await changes_of(repo, base, kept.commit)
    left_out = tuple(map(shown, kept.left_out))
    changed = {file.path for file in files if file.kind != "deleted"}.union(left_out)
    return Evidence(
        result=kept.commit,
        files=first(files),
        file_count=len(files),
        left_out=left_out[:LEFT_OUT_LIMIT],
        deliverables=await anyio.to_thread.run_sync(lambda: tuple(judge(item, tree, changed) for item in deliverables)),
        summary=await read_text(summary, SUMMARY_LIMIT) or "",
        settings=await anyio.to_thread.run_sync(_settings, files, tree, before),
    )


async def changes_of(repo: Repository, base: str, result: str) -> tuple[FileChange, ...]:
    """
    The files that differ between the commits *base* and *result*, as the journal has them.
    """
    return tuple(
        FileChange(path=shown(c.path), kind=str(c.kind), additions=c.additions, deletions=c.deletions)
        for c in await changed_files(repo, base, result)
    )


def _settings(files: tuple[FileChange, ...], tree: Path, before: Steering | None) -> tuple[str, ...]:
    now = steering(tree)
    found = [file.path for file in files if now.steers(file.path)]
    # Of what git ignores nothing is among those.
    found += steering(tree, before.names).changed(before) if before is not None else []
    return tuple(dict.fromkeys(found))[:SETTINGS_LIMIT]


def first(files: tuple[FileChange, ...]) -> tuple[FileChange, ...]:
    """
    As many of *files* as the journal keeps: a forgotten build folder must not fill every report and reply.
    """
    size = 0
    for number, file in enumerate(files):
        size += len(file.path)
        if number >= FILES_LIMIT or size > FILES_BYTES:
            return files[:number]
    return files


def judge(item: Deliverable, tree: Path, changed: set[str]) -> DeliverableFound:
    """
    What became of one deliverable: *found* (its path exists and the run changed it), *unchanged* (it exists as before),
    *missing*, or *unverified* when it is prose.
    """
    if item.path is None:
        return DeliverableFound(text=item.text, path=None, status="unverified")
    try:
        present = _present(item.path.rstrip("/"), tree)
    except (ValueError, NotImplementedError, OSError, RecursionError):
        # `docs/**.md` is what people write and no pattern of pathlib's; a folder may be closed to us, or lie too deep: nobody can say.
        return DeliverableFound(text=item.text, path=item.path, status="unverified")
    touched = any(path == found or path.startswith(f"{found}/") for found in present for path in changed)
    if not present:
        status = "unverified" if item.optional else "missing"
    elif touched:
        status = "found"
    else:
        status = "unchanged"
    return DeliverableFound(text=item.text, path=item.path, status=status)


def _present(name: str, tree: Path) -> list[str]:
    """
    The paths in *tree* that *name* stands for.
    """
    place = tree / name
    if place.exists() or place.is_symlink():
        # The literal name first: `[id].tsx` is a file name before it is a pattern.
        return [name]
    if any(character in name for character in "*?["):
        return [path.relative_to(tree).as_posix() for path in tree.glob(name)]
    return []
