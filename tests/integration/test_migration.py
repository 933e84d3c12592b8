"""
An older journal is brought to today's schema whole, whatever happens meanwhile.
"""

import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from orchestrd.audit.ledger import read_ledger
from orchestrd.domain.events import DaemonStopped, Record
from orchestrd.domain.rows import RunRow
from orchestrd.errors import DamagedJournal
from orchestrd.storage.journal import Journal
from orchestrd.storage.records import Batch
from orchestrd.storage.schema import SCHEMA_VERSION, crc, described, expected

GOLDEN = Path(__file__).parents[1] / "data" / "homes" / "0.1.0-schema1" / "var" / "orchestrd.db"
FACTS = 126
OPEN = "import sys; from pathlib import Path; from orchestrd.storage.journal import Journal; Journal(Path(sys.argv[1]))"


@pytest.fixture
def path(tmp_path):
    shutil.copy(GOLDEN, tmp_path / "orchestrd.db")
    return tmp_path / "orchestrd.db"


def version(path) -> int:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        found = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return found


def kept(path) -> list[Path]:
    return sorted(path.parent.glob("*.schema1-*"))


def test_tables_are_those_of_a_new_journal(path, tmp_path):
    Journal(path).close()
    new = tmp_path / "new.db"
    Journal(new).close()
    found = []
    for file in (path, new):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
            found.append(described(db))
            assert db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
        db.close()
    assert found == [expected(SCHEMA_VERSION)] * 2


def test_killed_in_the_middle_it_is_as_before_and_the_next_start_completes(path):
    env = {
        "PYTHONPATH": ":".join(sys.path),
        "ORCHESTRD_TESTING": "1",
        "ORCHESTRD_FAILPOINTS": "journal.migrated.before_commit=kill",
    }
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", OPEN, path], env=env, check=False)
        assert done.returncode == -9
        assert version(path) == 1
        assert [file.name for file in kept(path)] == [f"orchestrd.db.schema1-{FACTS}"]
        copy = path.with_name("copy.db")
        shutil.copy(kept(path)[0], copy)
        with sqlite3.connect(copy) as db:
            assert db.execute("SELECT count(*) FROM events").fetchone()[0] == FACTS
        db.close()
    journal = Journal(path)
    assert journal.last_seq() == FACTS
    assert len(journal.events(limit=10_000)) == FACTS
    journal.close()
    assert version(path) == SCHEMA_VERSION


def test_the_copy_has_what_was_only_in_the_log(path, tmp_path):
    writer = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sqlite3, sys\n"
            "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "db.execute('PRAGMA journal_mode = WAL')\n"
            'body = b\'{"type":"daemon.stopped","pid":7}\'\n'
            "db.execute('INSERT INTO events VALUES (127, 1.0, ?, NULL, NULL, NULL, ?)', ('daemon.stopped', body))\n"
            "os.kill(os.getpid(), 9)\n",
            path,
        ],
        check=False,
    )
    assert writer.returncode == -9
    assert path.with_name("orchestrd.db-wal").stat().st_size
    journal = Journal(path)
    assert journal.last_seq() == 127
    assert journal.events(since=126)[0].event.pid == 7
    journal.close()
    with sqlite3.connect(f"file:{kept(path)[0]}?immutable=1", uri=True) as db:
        assert kept(path)[0].name == "orchestrd.db.schema1-127"
        assert db.execute("SELECT count(*) FROM events").fetchone()[0] == 127
    db.close()


def test_a_damaged_one_is_refused_as_it_is(path):
    data = path.read_bytes()
    path.write_bytes(data[: 8 * 4096] + bytes(4096) + data[9 * 4096 :])
    before = path.read_bytes()
    with pytest.raises(DamagedJournal):
        Journal(path)
    assert path.read_bytes() == before
    assert kept(path) == []


def test_the_kept_copy_may_be_put_back_and_brought_over_again(path):
    Journal(path).close()
    shutil.copy(kept(path)[0], path)
    for _ in range(2):
        journal = Journal(path)
        assert journal.last_seq() == FACTS
        journal.close()


def test_a_kept_copy_put_back_after_newer_facts_is_noticed(path):
    journal = Journal(path)
    journal.commit(Batch(records=[Record(seq=FACTS + 1, at=0.0, event=DaemonStopped(pid=1))]))
    journal.close()
    shutil.copy(kept(path)[0], path)
    with pytest.raises(DamagedJournal, match="fact 127 is missing"):
        Journal(path)


def rows(path) -> dict[str, bytes]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        found = dict(db.execute("SELECT kind || ' ' || key, body FROM rows"))
    db.close()
    return found


def as_version_2(path, *, facts: str = "") -> dict[str, bytes]:
    """
    The journal as version 2 had it: its rows know nothing of what their facts say of each response.  Gives them.
    """
    Journal(path).close()
    with sqlite3.connect(path, isolation_level=None) as db:
        for kind, key, body in db.execute("SELECT kind, key, body FROM rows").fetchall():
            old = re.sub(rb',"response":"[^"]*","response_cost":\d+', b"", body)
            db.execute(
                "UPDATE rows SET body = ?, crc = ? WHERE kind = ? AND key = ?", (old, crc((kind, key, old)), kind, key)
            )
        if facts:
            seq, at = db.execute("SELECT seq, at FROM events WHERE type = ?", (facts,)).fetchone()
            values = (seq, at, "home.thawed", None, None, None, b'{"type":"home.thawed"}', None, None)
            db.execute(
                'UPDATE events SET type=?, day=?, task=?, run=?, body=?, start=?, "end"=?, crc=? WHERE seq=?',
                (*values[2:], crc(values), seq),
            )
        db.execute("PRAGMA user_version = 2")
    db.close()
    return rows(path)


def test_rows_of_version_2_are_made_anew_from_the_facts(path):
    old = as_version_2(path)
    assert not any(b'"response_cost"' in body for body in old.values())
    Journal(path).close()
    found = rows(path)
    assert found.keys() == old.keys()
    assert version(path) == SCHEMA_VERSION
    runs = [msgspec.json.decode(body, type=RunRow) for key, body in found.items() if key.startswith("run ")]
    assert max(run.response_cost for run in runs) > 0
    ledger = read_ledger(path)
    assert not ledger.faults
    assert [f"orchestrd.db.schema2-{FACTS}"] == [file.name for file in path.parent.glob("*.schema2-*")]


def test_rows_whose_facts_do_not_add_up_stay_as_they_are(path):
    old = as_version_2(path, facts="daemon.started")
    Journal(path).close()
    assert rows(path) == old
    assert version(path) == SCHEMA_VERSION
