"""
Are the project's files still there?

Counted only while nothing is under way: a program may take one away and put it back.  One that was moved is not gone.  What was
moved git tells, by what the files hold: an inode may be another file's by now, and who moves a file may change it as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable

import anyio.to_thread

from orchestrd.errors import StorageError
from orchestrd.logs import get_logger
from orchestrd.runner.sight import Sight
from orchestrd.workspace.filelist import FileList

log = get_logger(__name__)

Moved = Callable[[], Awaitable[Collection[str]]]
"""The files that were moved, or renamed, since the tree was made: where they were, as `git.shown` writes it."""


async def nowhere() -> Collection[str]:
    """
    Nothing was moved.
    """
    return ()


class FileWatch:
    """
    The tracked files of one run's tree, count by count.
    """

    def __init__(self, sight: Sight, moved: Moved) -> None:
        """
        *moved* is only asked when files are missing.
        """
        self._root = sight.root
        self._files = FileList(sight.root, sight.tree.entry / "index", oid=sight.tree.oid)
        self._moved = moved
        self._gone: set[str] = set()
        self._away: set[str] = set()
        """What was moved elsewhere."""
        self.missing: set[str] = set()
        """What was gone when files were last counted, and may be."""

    def begin(self, missing: Iterable[str] | None) -> None:
        """
        Remember what is gone, and what was *missing* when the run began, where that is known.  Blocks.
        """
        self._gone = self._files.gone()
        self.missing = set(missing) if missing is not None else self._gone

    async def lost(self, *, pardoned: bool, over: bool) -> list[str] | None:
        """
        The files that are gone since they were last counted, unless a person allowed that (*pardoned*); None where that cannot be told
        now.  *over*: they are counted for the last time.
        """
        self._gone = await anyio.to_thread.run_sync(self._files.gone)
        lost = [] if pardoned else sorted(self._gone - self.missing)
        # What was moved may have gone from there since.
        doubtful = {*lost, *(self._away if over else ())}
        if not doubtful:
            return []
        try:
            there = await self._moved()
        except StorageError as error:
            log.warning("watch.uncounted", tree=str(self._root), error=error.message)
            return None
        lost = sorted(path for path in doubtful if path not in there)
        self._away |= doubtful - set(lost)
        return lost

    def settle(self) -> bool:
        """
        The files that are gone may be: True when that is news.
        """
        news = self._gone != self.missing
        self.missing = self._gone
        return news
