"""
Files that others write: when each is whole, so that it may be read, and why one is not taken.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from orchestrd.logs import get_logger
from orchestrd.sizes import size_text
from orchestrd.storage.home import Home
from orchestrd.storage.regular import Unfit, read_whole, writer_of

log = get_logger(__name__)

STILL_SECONDS = 0.4
"""How long a new file must lie still before it is read: whoever writes it may not be done."""
GROWN_SECONDS = 2.0
"""How long one must that was seen to change, or to be open for writing: its writer takes its time."""
LATE = "late"
"""What is added to the name of an answer that came too late."""
STILL_TRIES = 10
"""How often a file is looked at that does not lie still when it is to be read now."""
Signature = tuple[int, int]
"""Modification time (ns) and size; zeros for no file."""


class _Change(msgspec.Struct):
    """
    How a file looks *since* (seconds of the event loop's clock); *grown*: it was seen otherwise, and not empty, before.
    """

    looks: Signature
    since: float
    grown: bool


class Watched:
    """
    What is known of the files in the folders that are looked at.
    """

    def __init__(self) -> None:
        self._read: dict[Path, Signature] = {}
        self._changing: dict[Path, _Change] = {}
        self._refused: dict[Path, str] = {}

    async def due(self, path: Path) -> bool:
        """
        True when there is something to read: the file is not as it was read, lies still, and nobody has it open for writing.
        From then on it counts as read.
        """
        looks, now = _signature(path), anyio.current_time()
        if self._read.get(path) == looks:
            return False
        known = self._changing.get(path)
        if known is None or known.looks != looks:
            self._changing[path] = _Change(looks, now, grown=known is not None and known.looks[1] > 0)
            return False
        if now - known.since < (GROWN_SECONDS if known.grown else STILL_SECONDS):
            return False
        writer = await anyio.to_thread.run_sync(writer_of, path)
        if writer is not None:
            self._changing[path] = _Change(looks, now, grown=True)
            self._refused[path] = _still_written(writer)
            return False
        del self._changing[path]
        self._read[path] = looks
        self._refused.pop(path, None)
        return True

    async def settled(self, path: Path) -> bool:
        """
        Wait until the file may be read, but not for long; False when somebody still has it open for writing then.
        """
        writer = None
        for _ in range(STILL_TRIES):
            looks = _signature(path)
            if self.is_read(path):
                return True  # it is being read just now
            await anyio.sleep(STILL_SECONDS)
            writer = await anyio.to_thread.run_sync(writer_of, path)
            if writer is None and looks == _signature(path):
                break
        if writer is not None:
            log.warning("file.unread", path=str(path), why=_still_written(writer))
            return False
        self.remember(path)
        return True

    async def text(self, path: Path, limit: int) -> str | None:
        """
        What the file says in at most *limit* bytes, also as JSON; None when there is none, or none that can be taken, which is
        told.
        """
        try:
            text = await read_whole(path, limit)
        except Unfit as error:
            self._unread(path, str(error))
            return None
        except OSError:
            # The machine is short of something: it is looked at again.
            self.forget(path)
            return None
        if text is not None and len(msgspec.json.encode(text)) > limit:
            self._unread(path, f"it is longer than {size_text(limit)}")
            return None
        self._refused.pop(path, None)
        return text

    def is_read(self, path: Path) -> bool:
        """
        True while the file is as it was when it was read, or written by us.
        """
        return self._read.get(path) == _signature(path)

    def remember(self, path: Path) -> None:
        """
        The file is read, or ours, as it lies there now.
        """
        self._read[path] = _signature(path)

    def forget(self, path: Path) -> None:
        """
        The file could not be read: it is due again.
        """
        self._read.pop(path, None)

    def refuse(self, path: Path, why: str) -> None:
        """
        The file cannot be taken; *why* in words such as ``it is a link``.
        """
        self._refused[path] = f"cannot be taken: {why}"

    def _unread(self, path: Path, why: str) -> None:
        self.refuse(path, why)
        log.warning("file.unread", path=str(path), why=why)

    def keep(self, folder: Path, present: Collection[Path]) -> None:
        """
        Nothing is told any more of files in *folder* that are not *present*.
        """
        for path in [path for path in self._refused if path.parent == folder and path not in present]:
            del self._refused[path]

    def refusal(self, path: Path) -> str:
        """
        Why the file is not taken, such as ``cannot be taken: it is a link``; empty when nothing is wrong with it.
        """
        return self._refused.get(path, "")


def _still_written(writer: int) -> str:
    return f"is not taken yet: process {writer} has it open for writing"


def _signature(path: Path) -> Signature:
    try:
        found = path.lstat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def put_aside_late(folder: Path) -> dict[Path, list[str]]:
    """
    Answer file in *folder* to the names of those that were put aside because they came too late, in order.  Blocks.
    """
    found: dict[Path, list[str]] = {}
    for path in sorted(folder.glob(f"*.md.{LATE}*")):
        found.setdefault(path.with_name(path.name.rpartition(".")[0]), []).append(path.name)
    return found


def bring_out(home: Home, run: str) -> None:
    """
    Put the question files that the agent of *run* wrote in its sandbox, where the folder of questions is one of its own, to where
    they are looked for.  Nothing else comes out: neither another task's question, nor an answer.  Blocks.
    """
    task, _, _ = run.rpartition("/")
    day, _, name = task.rpartition("/")
    folder = home.run_dir(run) / "questions"
    try:
        found = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return
    mine = re.compile(rf"{re.escape(name)}(-[1-9][0-9]{{0,3}})?\.md")
    for file in filter(mine.fullmatch, found):
        place = home.questions / day / file
        with suppress(OSError):
            # What is no file would lie where ours are written, and nobody could put it away.
            if not stat.S_ISREG((folder / file).lstat().st_mode):
                _refuse(folder / file, run)
                continue
            (folder / file).rename(place)
            log.info("question.brought_out", run=run, file=file)


def _refuse(path: Path, run: str) -> None:
    """
    Leave what is no file where it is, under a name that is not looked at again.
    """
    log.warning("question.not_brought_out", run=run, file=path.name, why="it is no regular file")
    path.rename(path.with_name(f"{path.name}.refused-{time.monotonic_ns()}"))
