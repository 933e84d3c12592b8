"""
Is a journal what was written?  Looked at before anything else touches it, and without changing a byte of it.

A small journal is proven whole: SQLite's own check of its structure, every record's checksum, facts without a gap, streams
read without a gap, and the mark beside it.  Of a large one the rows, the cursors and the newest facts are proven before the
daemon serves; the rest takes seconds for each gigabyte and is proven while it serves.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import msgspec

from orchestrd.errors import DamagedJournal, NewerJournal
from orchestrd.storage import mark as marks
from orchestrd.storage.failure import REPAIR, is_damage, telling
from orchestrd.storage.regular import open_regular
from orchestrd.storage.schema import EVENTS, RECORDS, SCHEMA_VERSION, SCHEMAS, described, expected, sound

WHOLE_BYTES = 64 << 20
"""A journal up to this size is proven whole at every start."""
NEWEST = 1000
"""Facts of a larger one that are proven before the daemon serves."""
TOLD = 3
"""Findings that one message names."""
OPEN_SECONDS = 20.0
"""
How long another program that holds the database is waited for before it is open.  A service manager gives up on a daemon that
leaves ten times in two minutes.
"""
PATIENCE_STEPS = 100_000
"""Steps of SQLite's machine between two questions whether to give up."""
_MAGIC = b"SQLite format 3\0"


_WITNESSES = ("agent_logs/*/*/*/spec.json", "agent_status/*/*.json")
EMPTIED = "the journal holds nothing, and there are files of tasks that it knew"
LOST = (
    "Nothing was changed. Put back a copy of it, whole: orchestrd.db with its -wal and its mark. "
    "Without one `orchctl doctor --deep --repair` begins a new journal, which knows nothing of these tasks."
)


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a journal was found to be: its schema *version*, *identity* (empty before version 2), newest fact, number of
    replies; *whole* when all of it was proven.
    """

    version: int
    identity: str
    seq: int
    replies: int
    whole: bool


def log_of(path: Path) -> Path:
    """
    SQLite's write-ahead log of the database at *path*.
    """
    return path.with_name(f"{path.name}-wal")


def salvaged_of(path: Path) -> Path:
    """
    Where a salvaged journal lies between its completion and the moment it takes the place of the one at *path*.
    """
    return path.with_name(f"{path.name}.salvaged")


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """
    The database for reading, with what its log holds; nothing but SQLite's scratch file (``-shm``) is touched, which may be
    left behind: a daemon that has begun meanwhile would go by it.
    """
    if log_of(path).exists() and not os.access(path.parent, os.W_OK):
        # A log cannot be read without a scratch file beside it: on a disk that is read-only, in a copy elsewhere.
        with tempfile.TemporaryDirectory(prefix="orchestrd-") as folder:
            for file in (path, log_of(path)):
                shutil.copyfile(file, Path(folder) / file.name)
            with _opened(Path(folder) / path.name) as db:
                yield db
        return
    with _opened(path) as db:
        yield db


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    # Without a log SQLite would make an empty one, and with the right to write it would fold the log into the database.
    with closing(_connect(path, "mode=ro" if log_of(path).exists() else "immutable=1")) as db:
        yield db


def _connect(path: Path, how: str) -> sqlite3.Connection:
    address = f"file:{quote(os.fsencode(path.absolute()))}?{how}"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=OPEN_SECONDS)


def examine(path: Path, *, whole: bool | None = None) -> Examined:
    """
    Prove the journal at *path*, which this process has not open: all of it when *whole*, by default when it is small.

    Raises `DamagedJournal` naming the file and what is wrong, `NewerJournal`, `StorageError`.
    """
    with telling(path, "cannot be opened"):
        _finished(path)
        _header(path)
        size = sum(file.stat().st_size for file in (path, log_of(path)) if file.exists())
        mark = _mark(path)
        with reading(path) as db:
            db.execute("BEGIN")
            return _examine(path, db, mark, whole=size <= WHOLE_BYTES if whole is None else whole)


def prove(path: Path, halt: Callable[[], bool]) -> None:
    """
    Prove all of the journal at *path* while this process writes it.  *halt* is asked now and then whether to give up.

    The file is opened by nobody but SQLite: whoever closes a file gives up every lock that its process has on it
    (sqlite.org/howtocorrupt.html §2.2), and the next program that looks at the journal would remove the log.

    Raises `DamagedJournal` naming the file and what is wrong, `StorageError`, also when it was given up.
    """
    with telling(path, "cannot be read"):
        # Before the look: whoever writes meanwhile only gets further than the mark.
        mark = _mark(path)
        with closing(_connect(path, "mode=ro")) as db:
            db.set_progress_handler(halt, PATIENCE_STEPS)
            db.execute("BEGIN")
            _examine(path, db, mark, whole=True)


def witnessed(path: Path) -> bool:
    """
    True when tasks left files beside the database at *path*: there was a journal that knew of them, for each task and each run is
    recorded before its first file is made.
    """
    return any(any(path.parent.glob(witnesses)) for witnesses in _WITNESSES)


def refuse_without(path: Path) -> None:
    """
    See that nothing tells of a journal that was at *path* and is gone.

    Raises `DamagedJournal`.
    """
    with telling(path, "cannot be made"):
        _finished(path)
        if log_of(path).exists():
            raise DamagedJournal(f"{path}: the journal is gone, but {log_of(path).name} is still there", hint=REPAIR)
        mark = _mark(path)
        if mark is not None and (mark.seq or mark.replies):
            known = f"{mark.seq} facts, says {marks.path_of(path).name}"
            raise DamagedJournal(f"{path}: the journal is gone: it held {known}", hint=REPAIR)
        if witnessed(path):
            raise DamagedJournal(f"{path}: the journal is gone, and there are files of tasks that it knew", hint=LOST)


def _finished(path: Path) -> None:
    if salvaged_of(path).exists():
        raise DamagedJournal(f"{path}: the journal's salvage was cut off: {salvaged_of(path).name} waits", hint=REPAIR)


def is_database(path: Path) -> bool:
    """
    True when the file begins as a SQLite database does.
    """
    try:
        with os.fdopen(open_regular(path, follow=True), "rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        return False
    return len(head) == 100 and head.startswith(_MAGIC)


def _header(path: Path) -> None:
    """
    Look at the file's first bytes (sqlite.org/fileformat2.html §1.3), so that a newer version's file is not even opened.
    """
    if not is_database(path):
        what = "cannot be opened: file is not a database" if path.stat().st_size else "is empty"
        raise DamagedJournal(f"{path}: the journal {what}", hint=REPAIR)
    refuse_unwritable(path)
    with path.open("rb") as file:
        _readable(path, int.from_bytes(file.read(64)[60:], "big", signed=True))


def refuse_unwritable(path: Path) -> None:
    """
    Raises `DamagedJournal` for a database whose header says that it is written in a way that SQLite does not know: it would
    be opened, and refuse every write.
    """
    with path.open("rb") as file:
        if file.read(19)[18:] not in (b"\1", b"\2"):
            raise DamagedJournal(f"{path}: the journal's header is not as written", hint=REPAIR)


def _readable(path: Path, version: int) -> None:
    """
    Raises `NewerJournal` when *version* is none that we know.
    """
    if version > SCHEMA_VERSION:
        raise NewerJournal(
            f"{path}: the journal has schema {version}, this version reads {SCHEMA_VERSION}",
            hint="Nothing was changed. Install the version of orchestrd that last used this home.",
        )


def _examine(path: Path, db: sqlite3.Connection, mark: marks.Mark | None, *, whole: bool) -> Examined:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    _readable(path, version)
    if version not in SCHEMAS or described(db) != expected(version):
        raise DamagedJournal(f"{path}: the journal is not one of ours: its tables are others", hint=REPAIR)
    found = list(islice(problems(db, version, whole=whole), TOLD))
    if found:
        raise DamagedJournal(f"{path}: the journal is damaged: {'; '.join(found)}", hint=REPAIR)
    examined = Examined(
        version=version,
        identity=identity_of(db) if version > 1 else "",
        seq=int(db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]),
        replies=int(db.execute("SELECT count(*) FROM replies").fetchone()[0]),
        whole=whole,
    )
    short = behind(mark, examined)
    if short:
        raise DamagedJournal(f"{path}: the journal is not whole: {short}", hint=REPAIR)
    if emptied(path, db, examined):
        raise DamagedJournal(f"{path}: {EMPTIED}", hint=LOST)
    return examined


def identity_of(db: sqlite3.Connection) -> str:
    """
    The identity of the database; empty when it was lost, which `problems` tells.
    """
    found = db.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()
    return "" if found is None else str(found[0])


def problems(db: sqlite3.Connection, version: int, *, whole: bool = True) -> Iterator[str]:
    """
    Everything that is wrong with a database whose tables are those of *version*, one line each.
    """
    if whole:
        yield from _as_far("the file", _structure(db))
    if version > 1:
        for table in RECORDS:
            if whole or table != "replies":
                yield from _as_far(table, _records(db, table))
    yield from _as_far("events", _facts(db, version, whole=whole))


def _as_far(table: str, found: Iterator[str]) -> Iterator[str]:
    """
    What is *found*, and as the last of it where SQLite can look no further.
    """
    try:
        for line in found:
            yield f"{table}: {line}"
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        yield f"{table}: {error}"


def _structure(db: sqlite3.Connection) -> Iterator[str]:
    for (line,) in db.execute("PRAGMA integrity_check(10)"):
        if line != "ok":
            yield " ".join(str(line).replace("*** in database main ***", "").split())


def _records(db: sqlite3.Connection, table: str) -> Iterator[str]:
    names = 0
    for record in db.execute(RECORDS[table]):
        names += record[0] == "identity"
        if not sound(table, record):
            yield f"the record {' '.join(map(str, record[: 2 if table == 'rows' else 1]))} is not as written"
    if table == "meta" and not names:
        yield "there is no identity"


def _facts(db: sqlite3.Connection, version: int, *, whole: bool) -> Iterator[str]:
    """
    What is wrong with the facts: numbers without a gap, checksums, and for each stream every part after the one before it.
    """
    seq = 0 if whole else max(0, int(db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]) - NEWEST)
    read: dict[str, tuple[int, int]] = {}
    query = EVENTS if version > 1 else "SELECT seq FROM events"
    try:
        for record in db.execute(f"{query} WHERE seq > ? ORDER BY seq", (seq,)):
            if record[0] != seq + 1:
                yield _missing(seq + 1, record[0] - 1)
            seq = record[0]
            if version == 1:
                continue
            if not sound("events", record):
                yield f"fact {seq} is not as written"
                continue
            run, start, end = record[5], record[7], record[8]
            if (start is None) is not (end is None) or (start is not None and min(start, end) < 0):
                yield f"fact {seq} was read from byte {start} up to byte {end} of {run}"
                continue
            if start is not None and read.get(run) != (start, end):
                before = read[run][1] if run in read else 0 if whole else start
                if start != before:
                    yield f"fact {seq} was read from byte {start} of {run}, the one before it up to byte {before}"
                read[run] = (start, end)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        yield f"nothing can be read after fact {seq}: {error}"
        return
    if version > 1:
        cursors = dict(db.execute("SELECT run, offset FROM cursors"))
        for run, (_, end) in read.items():
            if cursors.get(run) != end:
                yield f"{run} is read up to byte {end}, its cursor says {cursors.get(run)}"


def _missing(first: int, last: int) -> str:
    return f"fact {first} is missing" if first == last else f"facts {first} to {last} are missing"


def emptied(path: Path, db: sqlite3.Connection, found: Examined) -> bool:
    """
    True for a journal without a fact beside files of tasks, unless a salvage made it so, of which the person was told.
    """
    if found.seq or not witnessed(path):
        return False
    return found.version == 1 or db.execute("SELECT 1 FROM meta WHERE key = 'salvaged'").fetchone() is None


def _mark(path: Path) -> marks.Mark | None:
    try:
        return marks.read(marks.path_of(path))
    except marks.Garbled as error:
        raise DamagedJournal(f"{marks.path_of(path)}: {error}", hint=REPAIR) from error


def behind(mark: marks.Mark | None, found: Examined) -> str:
    """
    What *mark* tells against the journal, or nothing.
    """
    if mark is None or not (mark.seq or mark.replies):
        return ""
    if found.identity and mark.identity != found.identity:
        return f"the mark beside it belongs to another journal, which held {mark.seq} facts"
    if mark.seq > found.seq:
        return f"{_missing(found.seq + 1, mark.seq)}: its log was cut or lost, or this is an older copy, or one made under a daemon at work"
    if mark.replies > found.replies:
        return f"replies are missing, {mark.replies - found.replies} of {mark.replies}"
    return ""
