"""
Small journals with everything in them, to be damaged.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from factories import NOW, RUN, answered, asked, initialised, make_task, started, submitted
from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.state import State
from orchestrd.storage.integrity import log_of
from orchestrd.storage.journal import Journal
from orchestrd.storage.mark import path_of
from orchestrd.storage.records import Batch, Reply


class Writer:
    """
    Writes a journal as the store does: facts with the rows they add up to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = Journal(path)
        self._state = State(self.journal.rows())
        self._read = self.journal.cursors().get(RUN, 0)

    def put(self, *events: ev.AnyEvent, stream: int = 0, request: str | None = None) -> None:
        """
        One transaction; *stream* bytes of the run's stream were read for it.
        """
        seq = self.journal.last_seq()
        source = ev.Cursor(run=RUN, start=self._read, end=self._read + stream) if stream else None
        self._read += stream
        records = [
            ev.Record(seq=seq + n, at=NOW + seq + n, event=event, source=source) for n, event in enumerate(events, 1)
        ]
        draft = self._state.draft()
        for record in records:
            for row in fold(draft, record):
                draft.put(row)
        rows = list(draft.own_rows())
        replies = [Reply(request=request, method="task.submit", body=b'{"n":1}')] if request else []
        self.journal.commit(Batch(records=records, rows=rows, replies=replies))
        for row in rows:
            self._state.put(row)

    def begin(self) -> None:
        """
        A task whose run streams, with a question that was answered.
        """
        self.put(*submitted(make_task()), request="r1")
        self.put(started())
        self.put(initialised(), asked(), stream=100)
        self.put(answered(), request="r2")

    def work(self, calls: int, *, size: int = 20, batch: int = 1) -> None:
        """
        So many tool calls, *batch* of them in one transaction.
        """
        for first in range(0, calls, batch):
            names = [f"c{self._read}-{n}" for n in range(first, min(first + batch, calls))]
            self.put(*(ev.ToolCalled(run=RUN, call=name, tool="Bash", target="x" * size) for name in names), stream=50)


def die(path: Path, to: Path) -> Path:
    """
    The journal's files as they lie there when its process is killed now; gives the copy's path.
    """
    to.mkdir(exist_ok=True)
    for file in (path, log_of(path), path_of(path)):
        if file.exists():
            shutil.copy2(file, to / file.name)
    return to / path.name


def content(path: Path) -> Any:
    """
    Everything that a journal says, as plain values.
    """
    journal = Journal(path)
    try:
        records = journal.events(limit=1_000_000)
        rows = sorted(map(msgspec.json.encode, journal.rows()))
        return records, rows, journal.cursors(), journal.replies(["r1", "r2", "r3"])
    finally:
        journal.close()


def snapshot(folder: Path) -> dict[str, bytes]:
    """
    Every file of the folder but SQLite's scratch file.
    """
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}


@contextmanager
def flipped(path: Path, at: int, mask: int) -> Iterator[None]:
    """
    One byte of the file is another.
    """
    with path.open("r+b", buffering=0) as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))
        yield
        file.seek(at)
        file.write(bytes([byte]))
