"""
The journal: facts, the rows they add up to, stream cursors and given replies, in one SQLite database.

Everything that one decision changes is written in one transaction, so a crash leaves all of it or none of it, and a
start reads rows instead of replaying facts.  Synchronous code for one thread at a time; `services.store` is its only
writer.  It judges nothing.  Every record carries a checksum, and a start begins with a look at the whole (`integrity`).
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.rows import Row
from orchestrd.errors import DamagedJournal, NotNow, StorageError
from orchestrd.failpoint import failpoint
from orchestrd.storage import mark as marks
from orchestrd.storage.failure import REPAIR, telling, told
from orchestrd.storage.home import sync_folder
from orchestrd.storage.integrity import OPEN_SECONDS, examine, identity_of, prove, refuse_without
from orchestrd.storage.migration import migrate
from orchestrd.storage.records import Batch, Reply, recorded, write
from orchestrd.storage.schema import EVENTS, RECORDS, SCHEMA_VERSION, Value, create, intact, sealed

BUSY_SECONDS = 1.0
"""How long another program that holds the database is waited for; readers of this process wait as long."""
CHECKPOINT_COMMITS = 200
"""After so many commits the log is folded into the database: some four megabytes of log."""


class Journal:
    """
    An open journal.
    """

    def __init__(self, path: Path) -> None:
        """
        Open or create the database; one of an older schema is brought to today's.

        Raises `DamagedJournal`, `NewerJournal`, `StorageError`; then nothing was changed.
        """
        self.path = path
        self._row = msgspec.json.Decoder(Row)
        with telling(path, "cannot be opened"):
            if not path.exists():
                refuse_without(path)
                _create(path)
            found = examine(path)
            if found.version < SCHEMA_VERSION:
                migrate(path, found if found.whole else examine(path, whole=True))
            # Threads take turns: every call is made under the store's or the reader's own order.
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=OPEN_SECONDS)
        self.proven = found.whole
        """False when only a part of a large journal was looked at so far."""
        self._commits = 0
        try:
            with telling(path, "cannot be opened"):
                path.chmod(0o600)
                self._settle()
                self._mark = marks.Mark(identity=identity_of(self._db), seq=found.seq, replies=found.replies)
                self._mark_file = marks.MarkFile(marks.path_of(path), self._mark)
        except StorageError:
            self._db.close()
            raise

    def _settle(self) -> None:
        if self._db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise StorageError(f"{self.path}: the journal cannot be written: it takes no log")
        # FULL: an acknowledged write survives power loss, not only a crash of this process.
        self._db.execute("PRAGMA synchronous = FULL")
        # Ours to do, because SQLite keeps to itself what goes wrong when it does it alone.
        self._db.execute("PRAGMA wal_autocheckpoint = 0")
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("ROLLBACK")
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")

    def close(self) -> None:
        """
        Close the database; unfinished transactions are rolled back.
        """
        self._db.close()
        self._mark_file.close()

    def prove(self, halt: threading.Event) -> None:
        """
        Look at what the start left out of a large journal, while it is being written, until *halt* is set.

        Raises `DamagedJournal`, `StorageError`.
        """
        if not self.proven:
            prove(self.path, halt.is_set)
            self.proven = True

    # -- reading -----------------------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """
        Every row.
        """
        with telling(self.path, "cannot be read"):
            return [self._row.decode(body) for _, _, body, _ in self._verified(RECORDS["rows"])]

    def last_seq(self) -> int:
        """
        The newest fact's number, 0 when there is none.
        """
        return self._mark.seq

    def cursors(self) -> dict[str, int]:
        """
        Run to the byte offset up to which its stream is in the journal.
        """
        with telling(self.path, "cannot be read"):
            return {run: offset for run, offset, _ in self._verified(RECORDS["cursors"])}

    def replies(self, requests: Iterable[str]) -> dict[str, Reply]:
        """
        The replies already given under these request ids.
        """
        found: dict[str, Reply] = {}
        query = f"{RECORDS['replies']} WHERE request = ?"
        with telling(self.path, "cannot be read"):
            for request in requests:
                for _, method, body, _, _ in self._verified(query, request):
                    found[request] = Reply(request=request, method=method, body=body)
        return found

    def events(
        self, *, since: int = 0, limit: int = 1000, task: str | None = None, day: str | None = None
    ) -> list[ev.Record]:
        """
        Up to *limit* facts with a number above *since*, oldest first, of one task or day when named.
        """
        where = ["seq > ?"]
        arguments: list[Value] = [since]
        for column, value in (("task", task), ("day", day)):
            if value is not None:
                where.append(f"{column} = ?")
                arguments.append(value)
        query = f"{EVENTS} WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?"
        with telling(self.path, "cannot be read"):
            return [recorded(found) for found in self._verified(query, *arguments, limit)]

    def _verified(self, query: str, *arguments: Value) -> Sequence[tuple]:  # type: ignore[type-arg]  # SQLite's columns
        found = self._db.execute(query, arguments).fetchall()
        for record in found:
            if not intact(record):
                raise DamagedJournal(f"{self.path}: the journal is damaged: {record[0]} is not as written", hint=REPAIR)
        return found

    # -- writing -----------------------------------------------------------------------------------------------------

    def commit(self, batch: Batch) -> None:
        """
        Write the batch in one durable transaction.

        Raises `NotNow`: nothing of it was written, and it may be tried again.  Raises `StorageError`: nothing may be
        written any more; what became of the batch shows when the journal is opened again.
        """
        seq = batch.records[-1].seq if batch.records else self._mark.seq
        try:
            self._db.execute("BEGIN IMMEDIATE")
            failpoint("journal.begun")
            write(self._db, batch, seq=seq)
            failpoint("journal.written.before_commit")
            self._db.execute("COMMIT")
            failpoint("journal.committed")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error | OSError):
                raise told(self.path, "could not be written", error) from error
            raise
        self._mark = marks.Mark(identity=self._mark.identity, seq=seq, replies=self._mark.replies + len(batch.replies))
        self._mark_file.put(self._mark)
        self._commits += 1
        if self._commits % CHECKPOINT_COMMITS == 0:
            self.checkpoint()

    def probe(self) -> None:
        """
        Write something, so that it shows whether there is room.

        Raises `NotNow`, `StorageError`.
        """
        with telling(self.path, "could not be written"):
            # Another value each time: what is the same is not written.
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", sealed("probe", secrets.token_hex(8)))

    def checkpoint(self) -> None:
        """
        Fold the log into the database, as far as no reader stands in the way; without room for it, another time.

        Raises `StorageError`.
        """
        try:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            failure = told(self.path, "could not be written", error)
            if not isinstance(failure, NotNow):
                raise failure from error


def _create(path: Path) -> None:
    """
    Make an empty journal under another name first: one that is there and empty has lost what it held.
    """
    new = path.with_name(f"{path.name}.new")
    make(new, Batch(), identity=secrets.token_hex(16))
    new.rename(path)
    sync_folder(path.parent)


def make(path: Path, batch: Batch, **meta: str) -> None:
    """
    Make a journal at *path* that holds *batch*, in one file and synced; a file that is there is replaced.  *meta* names its
    identity, and what else is to be known of it.

    Raises `sqlite3.Error`, `OSError`.
    """
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        create(db)
        db.executemany("INSERT INTO meta VALUES (?, ?, ?)", [sealed(*pair) for pair in meta.items()])
        write(db, batch, seq=batch.records[-1].seq if batch.records else 0)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")
