"""
Whatever becomes of one record of a journal, the doctor tells of it, and its repair leaves a journal that is whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pytest

from audithome import KEYS, database
from orchestrd.audit.report import deep
from orchestrd.clock import SystemClock
from orchestrd.errors import OrchestrdError
from orchestrd.protocol.api import Doctor
from orchestrd.storage.journal import Journal
from orchestrd.storage.schema import TYPES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
KINDS = {"events": "type", "rows": "kind"}
"""The column that tells one kind of a table's records from another."""
PARTS = 4
"""Into how many tests the harms are divided: each takes a while."""
VALUES = (None, -1, 1 << 62, 1e300, "", "2026-11-22/none/1", b"", b"{}", b'{"type":1}', b"\xff\xfe")


class Harm(NamedTuple):
    """
    What is done to one record: *column* becomes *value*, or all of it is deleted; *sealed* as a mistake of the program would
    do it, with a checksum that fits.
    """

    table: str
    key: tuple[object, ...]
    column: str | None
    value: object
    sealed: bool

    def do(self, home: Path) -> None:
        """
        Raises `sqlite3.IntegrityError` when SQLite does not take it.
        """
        where = " AND ".join(f"{name} = ?" for name in KEYS[self.table])
        with database(home, seal=self.sealed) as db:
            if self.column is None:
                db.execute(f"DELETE FROM {self.table} WHERE {where}", self.key)
            else:
                # Bytes that are no text, where text is expected, are the one thing that SQLite itself cannot give back.
                given = "CAST(? AS TEXT)" if isinstance(self.value, bytes) and self.value.startswith(b"\xff") else "?"
                db.execute(f'UPDATE {self.table} SET "{self.column}" = {given} WHERE {where}', (self.value, *self.key))


def harms(home: Path) -> Iterator[Harm]:
    """
    One record of each kind of each table, deleted, and each column of it changed in two ways, all ways taking turns.
    """
    values, sealed = cycle(VALUES), cycle((False, True, True))
    with database(home, seal=False) as db:
        for table in TYPES:
            columns = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
            group = f" GROUP BY {KINDS[table]}" if table in KINDS else " LIMIT 3"
            for key in db.execute(f"SELECT {', '.join(KEYS[table])} FROM {table}{group}").fetchall():
                yield Harm(table, key, None, None, sealed=False)
                for column in columns:
                    for _ in range(2):
                        yield Harm(table, key, column, next(values), next(sealed) and column != "crc")


def asked(home: Path, harm: Harm, *, mend: bool) -> Doctor:
    """
    What the doctor says.
    """
    try:
        return deep(home, {}, clock=SystemClock(), mend=mend)
    except Exception as error:
        pytest.fail(f"{'repair' if mend else 'doctor'} of {harm}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("part", range(PARTS))
def test_a_record_that_is_changed_or_gone(home, part):
    var = home / "var"
    kept = {path: path.read_bytes() for path in (var / "orchestrd.db", var / "orchestrd.mark")}
    done = 0
    for harm in list(harms(home))[part::PARTS]:
        for path in var.glob("orchestrd.*"):
            if path.name.startswith(("orchestrd.db", "orchestrd.mark")):
                path.unlink()
        for path, data in kept.items():
            path.write_bytes(data)
            path.chmod(0o600)
        try:
            harm.do(home)
        except (sqlite3.Error, UnicodeEncodeError):
            continue
        done += 1
        told = asked(home, harm, mend=False)
        try:
            Journal(home / "var" / "orchestrd.db").close()
        except OrchestrdError:
            assert not told.ok, f"a daemon does not start, and the doctor finds nothing: {harm}"
        asked(home, harm, mend=True)
        left = [check for check in asked(home, harm, mend=False).checks if check.status == "problem"]
        assert not [check for check in left if check.name.startswith(("I1", "I5"))], (harm, left)
        Journal(home / "var" / "orchestrd.db").close()
    assert done > 300 / PARTS


def test_a_journal_without_its_identity(home):
    with database(home) as db:
        db.execute("DELETE FROM meta WHERE key = 'identity'")
    told = [check for check in deep(home, {}, clock=SystemClock()).checks if check.status == "problem"]
    assert [check.detail for check in told] == ["meta: there is no identity"]
    mended = deep(home, {}, clock=SystemClock(), mend=True)
    assert mended.ok
    assert "0 replies" not in mended.repairs[1].detail
    assert mended.repairs[1].detail.endswith("(meta not as written)")
    assert not [repair for repair in mended.repairs if repair.detail.startswith("lost")]
