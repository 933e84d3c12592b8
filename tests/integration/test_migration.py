"""
An older journal is brought to today's schema whole, whatever happens meanwhile.
"""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrd.domain.events import DaemonStopped, Record
from orchestrd.errors import DamagedJournal
from orchestrd.storage.journal import Journal
from orchestrd.storage.records import Batch
from orchestrd.storage.schema import SCHEMA_VERSION, described, expected

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
