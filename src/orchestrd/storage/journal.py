"""
The journal: facts, the rows they add up to, stream cursors and given replies, in one SQLite database.

Everything that one decision changes is written in one transaction, so a crash leaves all of it or none of it, and a
start reads rows instead of replaying facts.  Synchronous code for one thread at a time; `services.store` is its only
writer.  It judges nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.rows import Row
from orchestrd.errors import StorageError

SCHEMA_VERSION = 1
_KEEP = "Nothing was changed. Keep the file; `orchctl doctor` says what can be saved."
_SCHEMA = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, type TEXT NOT NULL,
    day TEXT, task TEXT, run TEXT, body BLOB NOT NULL
);
CREATE INDEX events_by_task ON events (task, seq) WHERE task IS NOT NULL;
CREATE TABLE rows (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE cursors (run TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE replies (request TEXT PRIMARY KEY, method TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
"""


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """
    How far a run's stream has been turned into facts: from byte *start* to byte *end*.
    """

    run: str
    start: int
    end: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """
    The answer given to a write under a request id, as JSON.
    """

    request: str
    method: str
    body: bytes


class Batch(msgspec.Struct, kw_only=True):
    """
    One transaction.
    """

    records: list[ev.Record] = []
    rows: list[Row] = []
    cursors: list[Cursor] = []
    replies: list[Reply] = []


class Journal:
    """
    An open journal.
    """

    def __init__(self, path: Path) -> None:
        """
        Open or create the database.

        Raises `StorageError` when it cannot be opened, is damaged, or belongs to a newer version.
        """
        self.path = path
        self._row = msgspec.json.Decoder(Row)
        self._record = msgspec.json.Decoder(ev.AnyEvent)
        with self._telling("cannot be opened"):
            if not path.exists():
                self._create()
            # Threads take turns: every call is made under the store's or the reader's own order.
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            with self._telling("cannot be opened"):
                self._check()
                self._db.execute("PRAGMA journal_mode = WAL")
                # FULL: an acknowledged write survives power loss, not only a crash of this process.
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("PRAGMA wal_autocheckpoint = 1000")
        except StorageError:
            self._db.close()
            raise

    def close(self) -> None:
        """
        Close the database; unfinished transactions are rolled back.
        """
        self._db.close()

    def _create(self) -> None:
        """
        Make an empty journal under another name first: one that is there and empty has lost what it held.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists():
            raise StorageError(f"{self.path}: the journal is gone, but {log.name} is still there", hint=_KEEP)
        new = self.path.with_name(f"{self.path.name}.new")
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        new.rename(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _check(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version == SCHEMA_VERSION:
            self.path.chmod(0o600)
        elif version:
            raise StorageError(
                f"{self.path}: the journal has schema {version}, this version reads {SCHEMA_VERSION}",
                hint="Install the version of orchestrd that last used this home.",
            )
        else:
            raise StorageError(f"{self.path}: the journal is empty or not one of ours", hint=_KEEP)

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """
        Tell what goes wrong with the file as a `StorageError`.
        """
        try:
            yield
        except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
            raise StorageError(f"{self.path}: the journal {what}: {error}", hint=_KEEP) from error

    def rows(self) -> list[Row]:
        """
        Every row.
        """
        with self._telling("cannot be read"):
            return [self._row.decode(body) for (body,) in self._db.execute("SELECT body FROM rows")]

    def last_seq(self) -> int:
        """
        The newest fact's number, 0 when there is none.
        """
        with self._telling("cannot be read"):
            return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def cursors(self) -> dict[str, int]:
        """
        Run to the byte offset up to which its stream is in the journal.
        """
        with self._telling("cannot be read"):
            return dict(self._db.execute("SELECT run, offset FROM cursors"))

    def replies(self, requests: Iterable[str]) -> dict[str, Reply]:
        """
        The replies already given under these request ids.
        """
        found: dict[str, Reply] = {}
        with self._telling("cannot be read"):
            for request in requests:
                row = self._db.execute("SELECT method, body FROM replies WHERE request = ?", (request,)).fetchone()
                if row:
                    found[request] = Reply(request=request, method=row[0], body=row[1])
        return found

    def commit(self, batch: Batch) -> None:
        """
        Write the batch in one durable transaction.

        Raises `StorageError`; then nothing of it was written.
        """
        encode = msgspec.json.encode
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        r.seq,
                        r.at,
                        r.event.name,
                        ev.day_of(r.event),
                        ev.task_of(r.event),
                        ev.run_of(r.event),
                        encode(r.event),
                    )
                    for r in batch.records
                ],
            )
            self._db.executemany(
                "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                [(row.__struct_config__.tag, row.key, encode(row)) for row in batch.rows],
            )
            self._db.executemany(
                "INSERT INTO cursors VALUES (?, ?) ON CONFLICT (run) DO UPDATE SET offset = excluded.offset",
                [(c.run, c.end) for c in batch.cursors],
            )
            self._db.executemany(
                "INSERT INTO replies VALUES (?, ?, ?)", [(r.request, r.method, r.body) for r in batch.replies]
            )
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StorageError(f"{self.path}: the journal could not be written: {error}") from error
            raise

    def events(
        self, *, since: int = 0, limit: int = 1000, task: str | None = None, day: str | None = None
    ) -> list[ev.Record]:
        """
        Up to *limit* facts with a number above *since*, oldest first, of one task or day when named.
        """
        where = ["seq > ?"]
        arguments: list[int | str] = [since]
        for column, value in (("task", task), ("day", day)):
            if value is not None:
                where.append(f"{column} = ?")
                arguments.append(value)
        query = f"SELECT seq, at, body FROM events WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?"  # noqa: S608
        with self._telling("cannot be read"):
            found: Sequence[tuple[int, float, bytes]] = self._db.execute(query, (*arguments, limit)).fetchall()
            return [ev.Record(seq=seq, at=at, event=self._record.decode(body)) for seq, at, body in found]
