"""
What can still be read of a damaged journal, by any way, and is proven to be as it was written.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.rows import Row
from orchestrd.storage import mark as marks
from orchestrd.storage.integrity import is_database, reading, witnessed
from orchestrd.storage.migration import FROM_STREAM
from orchestrd.storage.output import OUTPUT_LIMIT
from orchestrd.storage.pages import records as raw_records
from orchestrd.storage.records import NEWEST, Reply, filed, recorded
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.schema import EVENTS, RECORDS, Value, sound

Columns = tuple[Value, ...]
_ROW = msgspec.json.Decoder(Row)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """
    What all facts up to number *seq* added up to: every row, and how far each stream was read.
    """

    seq: int
    rows: list[Row]
    cursors: dict[str, int]


class Remains:
    """
    The facts, by number, and the replies, each with the number of the newest fact there was when it was given.
    """

    def __init__(self, path: Path) -> None:
        """
        Read the journal at *path*, which stays as it is but for SQLite's scratch file.

        Raises `OSError`.
        """
        self._path = path
        self.damaged: set[str] = set()
        """The tables in which something was not as written."""
        self.uncertain: set[str] = set()
        """Runs of schema 1 of whose stream nobody knows how far it was read."""
        try:
            self.mark = marks.read(marks.path_of(path)) or marks.Mark(identity="")
        except marks.Garbled:
            self.mark = marks.Mark(identity="")
            self.damaged.add("mark")
        self.standing: Standing | None = None
        """None when a part of it is damaged, or may be missing."""
        self.facts: dict[int, ev.Record] = {}
        self.replies: list[Reply] = []
        version = self._ask("PRAGMA user_version", "meta")
        if version and version[0][0] == 1:
            self._read_1()
        else:
            self._read()
        if not self.facts and not self.mark.seq and witnessed(path):
            self.damaged.add("events")
        self.newest = max(self.mark.seq, max(self.facts, default=0))
        """The number of the newest fact that is known to have been there."""
        self.counted = "events" not in self.damaged or self.mark.seq > 0
        """False when something is gone, and nobody says how much."""
        self.newest += not self.counted
        if self.newest > len(self.facts):
            self.damaged.add("events")

    def _ask(self, query: str, table: str) -> list[Columns]:
        """
        As much of an answer as SQLite gives.
        """
        found: list[Columns] = []
        try:
            # An empty file is not for SQLite to see: it would throw the log away.
            if is_database(self._path):
                with reading(self._path) as db:
                    found.extend(db.execute(query))
                    return found
        except (sqlite3.Error, UnicodeDecodeError):
            pass
        self.damaged.add(table)
        return found

    def _read(self) -> None:
        facts = self._sound(self._ask(f"{EVENTS} ORDER BY seq", "events"), "events")
        replies = self._sound(self._ask(RECORDS["replies"], "replies"), "replies")
        known = {table: self._sound(self._ask(RECORDS[table], table), table) for table in ("meta", "rows", "cursors")}
        if not any(record[0] == "identity" for record in known["meta"]):
            self.damaged.add("meta")
        if self._ask("PRAGMA integrity_check(1)", "structure") != [("ok",)]:
            self.damaged.add("structure")
        self.standing = self._stood(known["meta"], known["rows"], known["cursors"])
        by_number = {record[0]: record for record in facts}
        by_request = {record[0]: record for record in replies}
        if self.damaged:
            self._dig(by_number, by_request)
        for record in by_number.values():
            try:
                fact = recorded(record)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.damaged.add("events")
                continue
            if filed(fact) == record[2:6]:
                self.facts[fact.seq] = fact
            else:
                self.damaged.add("events")
        self.replies = [_reply(record) for record in by_request.values()]

    def _stood(self, meta: list[Columns], rows: list[Columns], cursors: list[Columns]) -> Standing | None:
        # Asked of the facts only where nothing else tells: theirs may be the page that is damaged.
        seq = next((int(str(value)) for key, value, _ in meta if key == NEWEST), None)
        if seq is None:
            seq = next((int(str(n)) for (n,) in self._ask("SELECT max(seq) FROM events", "events") if n), None)
        # What SQLite finds by the trees of both tables is all there ever was when those trees are whole.
        for table in ("rows", "cursors"):
            if table in self.damaged or self._ask(f"PRAGMA integrity_check({table})", table) != [("ok",)]:
                return None
        try:
            decoded = [_ROW.decode(body) for _, _, body, _ in rows if isinstance(body, bytes)]
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        ends = {str(run): int(str(end)) for run, end, _ in cursors}
        return Standing(seq=seq, rows=decoded, cursors=ends) if seq is not None else None

    def _dig(self, by_number: dict[Value, Columns], by_request: dict[Value, Columns]) -> None:
        """
        Add what SQLite does not find any more.
        """
        # What was never committed lies in the log too: numbers beyond what is known to be committed are not believed.
        last = max([self.mark.seq, *(seq for seq in by_number if isinstance(seq, int))])
        for rowid, columns in raw_records(self._path):
            if rowid is not None:
                record = (rowid, *(_real(value) for value in columns[1:2]), *columns[2:])
                if (not last or rowid <= last) and sound("events", record):
                    by_number.setdefault(rowid, record)
            elif sound("replies", columns):
                by_request.setdefault(columns[0], columns)

    def _sound(self, found: list[Columns], table: str) -> list[Columns]:
        good = [record for record in found if sound(table, record)]
        if len(good) < len(found):
            self.damaged.add(table)
        return good

    def _read_1(self) -> None:
        """
        A journal of schema 1, which has no checksums: what can be read is believed.
        """
        cursors = {str(run): int(str(end)) for run, end in self._ask("SELECT run, offset FROM cursors", "cursors")}
        for seq, at, kind, run, body in self._ask("SELECT seq, at, type, run, body FROM events ORDER BY seq", "events"):
            source = None
            if kind in FROM_STREAM:
                if str(run) not in cursors:
                    # Read from its start again, its facts would count twice: what may be missing of it stays missing.
                    self.uncertain.add(str(run))
                    cursors[str(run)] = _size(RunDir(self._path.parent / "agent_logs" / str(run)).stdout)
                source = ev.Cursor(run=str(run), start=0, end=cursors[str(run)])
            try:
                event = msgspec.json.decode(body if isinstance(body, bytes) else b"", type=ev.AnyEvent)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.damaged.add("events")
                continue
            self.facts[int(str(seq))] = ev.Record(seq=int(str(seq)), at=float(str(at)), event=event, source=source)
        newest = max(self.facts, default=0)
        for request, method, body in self._ask("SELECT request, method, body FROM replies", "replies"):
            self.replies.append(_reply((request, method, body, newest)))


def _real(value: Value) -> Value:
    """
    A real number as SQL gives it: SQLite stores a whole one as an integer.
    """
    return float(value) if isinstance(value, int) else value


def _reply(record: Columns) -> Reply:
    request, method, body, seq = record[:4]
    assert isinstance(seq, int)
    assert isinstance(body, bytes)
    return Reply(request=str(request), method=str(method), body=body, seq=seq)


def _size(path: Path) -> int:
    """
    Bytes of the output that were or will be read.
    """
    try:
        return min(path.lstat().st_size, OUTPUT_LIMIT)
    except OSError:
        return 0
