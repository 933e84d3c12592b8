"""
The journal file: whole transactions, whatever happens to it told, and never a silent clean start.
"""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest
from msgspec.structs import replace

from factories import (
    DAY,
    NOW,
    QUESTION,
    RUN,
    TASK,
    asked,
    exited,
    initialised,
    make_day,
    make_question,
    make_run,
    make_task,
    make_task_row,
    records,
    spend,
    started,
    submitted,
)
from orchestrd.domain import events as ev
from orchestrd.domain.model import Outcome
from orchestrd.domain.rows import ViolationRow
from orchestrd.errors import DamagedJournal, StorageError
from orchestrd.storage import integrity
from orchestrd.storage.journal import Journal
from orchestrd.storage.records import Batch, Reply
from orchestrd.storage.schema import SCHEMA_VERSION

SOURCE = ev.Cursor(run=RUN, start=0, end=100)
FACTS = [*submitted(make_task(), make_task("b", order=1)), started(), initialised(), asked(), exited()]
WRITTEN = [replace(record, source=SOURCE if record.event == initialised() else None) for record in records(FACTS)]
ROWS = [
    make_day(limit=5),
    make_task_row(),
    make_run(settled=spend(1), outcome=Outcome.KILLED),
    make_question(),
    ViolationRow(key=f"{RUN}!1", run=RUN, at=NOW, tool="Bash", rule="git", target="git push", reason="no"),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "orchestrd.db"


@pytest.fixture
def open_journal(path):
    opened = []

    def make() -> Journal:
        opened.append(Journal(path))
        return opened[-1]

    yield make
    for journal in opened:
        journal.close()


def batch(**overrides) -> Batch:
    values = {
        "records": WRITTEN,
        "rows": ROWS,
        "replies": [Reply(request="r1", method="task.submit", body=b'{"a":1}')],
    }
    return Batch(**(values | overrides))


def holds(journal: Journal) -> tuple:
    return (
        journal.events(),
        sorted(journal.rows(), key=lambda row: row.key),
        journal.cursors(),
        journal.replies(["r1", "r2"]),
        journal.last_seq(),
    )


WHOLE = (
    WRITTEN,
    sorted(ROWS, key=lambda row: row.key),
    {RUN: 100},
    {"r1": Reply(request="r1", method="task.submit", body=b'{"a":1}')},
    len(FACTS),
)
NOTHING = ([], [], {}, {}, 0)


def test_a_new_one_is_empty_private_and_durable(path, open_journal):
    journal = open_journal()
    assert holds(journal) == NOTHING
    journal.commit(batch())
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    pragma = {name: journal._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragma == {"journal_mode": "wal", "synchronous": 2}


def test_what_was_committed_is_there_when_it_is_opened_again(open_journal):
    first = open_journal()
    first.commit(batch())
    assert holds(first) == WHOLE
    first.close()
    assert holds(open_journal()) == WHOLE


def test_rows_and_cursors_are_replaced_facts_are_added(open_journal):
    journal = open_journal()
    journal.commit(batch())
    journal.commit(
        Batch(
            records=[
                ev.Record(
                    seq=len(FACTS) + 1, at=NOW, event=initialised(), source=ev.Cursor(run=RUN, start=100, end=250)
                )
            ],
            rows=[make_task_row(attempts=7)],
        )
    )
    assert [row.attempts for row in journal.rows() if row.key == TASK] == [7]
    assert len(journal.rows()) == len(ROWS)
    assert journal.cursors() == {RUN: 250}
    assert journal.last_seq() == len(FACTS) + 1


@pytest.mark.parametrize(
    "bad",
    [
        {"records": records(FACTS[:2], seq=len(FACTS) - 1)},
        {"replies": [Reply(request="r1", method="m", body=b"1")]},
    ],
    ids=["a number is taken", "a reply is given"],
)
def test_a_transaction_that_fails_leaves_nothing_of_itself(open_journal, bad):
    journal = open_journal()
    journal.commit(batch())
    with pytest.raises(StorageError, match="could not be written"):
        journal.commit(batch(rows=[make_day("2030-01-01")], **({"records": [], "replies": []} | bad)))
    assert holds(journal) == WHOLE
    journal.commit(Batch(rows=[make_day("2030-01-02")]))
    assert len(journal.rows()) == len(ROWS) + 1


def test_a_value_that_cannot_be_written_blocks_nothing_after_it(open_journal):
    journal = open_journal()
    with pytest.raises(UnicodeEncodeError):
        journal.commit(Batch(records=records([ev.DaySubmitted(day=DAY, source="\udcff")])))
    journal.commit(batch())
    assert holds(journal) == WHOLE


def test_pages(open_journal):
    journal = open_journal()
    journal.commit(batch())
    assert [r.seq for r in journal.events(limit=2)] == [1, 2]
    assert [r.seq for r in journal.events(since=2, limit=2)] == [3, 4]
    assert journal.events(since=len(FACTS)) == []
    assert journal.events(limit=0) == []
    assert [r.event.name for r in journal.events(task=TASK)] == [
        "task.submitted", "run.started", "run.initialised", "question.asked", "run.exited",
    ]  # fmt: skip
    assert [r.seq for r in journal.events(task=TASK, since=2, limit=1)] == [4]
    assert len(journal.events(day=DAY)) == len(FACTS)
    assert journal.events(day="2026-01-01") == []
    assert journal.events(task="x'; DROP TABLE events; --") == []


class TestDamage:
    def refused(self, path) -> str:
        before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
        with pytest.raises(StorageError) as caught:
            Journal(path)
        assert caught.value.exit_status == 78
        assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
        assert str(path) in caught.value.message
        return str(caught.value)

    @pytest.fixture
    def full(self, path, open_journal):
        journal = open_journal()
        journal.commit(batch(records=records([*FACTS, *(ev.DaemonStopped(pid=n) for n in range(500))])))
        journal.close()
        return path

    def test_another_file(self, path):
        path.write_bytes(b"this is no database at all, but a text of some length " * 100)
        assert "cannot be opened: file is not a database" in self.refused(path)

    def test_an_empty_file(self, path):
        path.touch()
        assert "the journal is empty" in self.refused(path)

    def test_another_database(self, path):
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE t (x)")
        db.close()
        assert "is not one of ours" in self.refused(path)

    def test_a_schema_that_never_was(self, full):
        with sqlite3.connect(full) as db:
            db.execute("PRAGMA user_version = -1")
        db.close()
        assert "is not one of ours" in self.refused(full)

    @pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 999])
    def test_a_newer_schema(self, full, version):
        with sqlite3.connect(full) as db:
            db.execute(f"PRAGMA user_version = {version}")
        db.close()
        message = self.refused(full)
        assert f"has schema {version}, this version reads {SCHEMA_VERSION}" in message
        assert "Install the version" in message

    def test_a_file_that_lost_its_end(self, full):
        data = full.read_bytes()
        for size in (100, 4096, len(data) // 2):
            full.write_bytes(data[:size])
            self.refused(full)

    def test_a_row_that_is_not_one_of_ours(self, full):
        with sqlite3.connect(full) as db:
            db.execute("UPDATE rows SET body = ? WHERE kind = 'task'", (b'{"type":"nonsense"}',))
        db.close()
        assert f"rows: the record task {TASK} is not as written" in self.refused(full)

    def test_the_file_is_gone_but_its_log_is_there(self, path):
        journal = Journal(path)
        journal.commit(batch())
        path.unlink()
        try:
            with pytest.raises(StorageError, match="is gone, but"):
                Journal(path)
            assert not path.exists()
        finally:
            journal.close()

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(StorageError, match="cannot be opened"):
            Journal(tmp_path / "none" / "x.db")

    def test_a_folder_in_its_place(self, path):
        path.mkdir()
        with pytest.raises(StorageError, match="cannot be opened"):
            Journal(path)


WRITER = """
import sys
from pathlib import Path
from orchestrd.domain import events as ev
from orchestrd.storage.journal import Journal
from orchestrd.storage.records import Batch
journal = Journal(Path(sys.argv[1]))
for n in range(1, 100_000):
    source = ev.Cursor(run="r", start=n - 1, end=n)
    facts = [ev.Record(seq=2 * n - 1 + k, at=0.0, event=ev.DaemonStopped(pid=n), source=source) for k in (0, 1)]
    journal.commit(Batch(records=facts))
    print(n, flush=True)
"""


def test_a_writer_that_is_killed_leaves_whole_transactions(path, open_journal):
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True) as writer:
            told = 0
            for line in writer.stdout:
                told = int(line)
                if told == 20:
                    writer.send_signal(signal.SIGKILL)
        journal = open_journal()
        facts = journal.events(limit=1_000_000)
        assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
        assert len(facts) == 2 * journal.cursors()["r"] >= 2 * told
        assert facts[-1].event.pid == journal.cursors()["r"]
        journal.close()
        for rest in path.parent.glob("orchestrd*"):
            rest.unlink()


def test_a_start_that_was_cut_off_is_simply_made_again(path, open_journal):
    path.with_name(f"{path.name}.new").write_bytes(b"half")
    assert holds(open_journal()) == NOTHING
    assert min(os.listdir(path.parent)) == path.name


def test_numbers_of_questions_are_kept(open_journal):
    journal = open_journal()
    journal.commit(Batch(rows=[make_question(f"{TASK}#{n}") for n in (1, 2, 10)]))
    assert sorted(row.number for row in journal.rows()) == [1, 2, 10]
    assert QUESTION in {row.key for row in journal.rows()}


class TestALargeOne:
    """
    Of a journal that takes long to look at, the newest part is looked at before it is served, and the rest after that.
    """

    @pytest.fixture
    def large(self, path, monkeypatch):
        monkeypatch.setattr(integrity, "WHOLE_BYTES", 1)
        monkeypatch.setattr(integrity, "NEWEST", 10)
        journal = Journal(path)
        journal.commit(Batch(records=records([ev.DaemonStopped(pid=n) for n in range(100)]), rows=ROWS))
        journal.close()
        return path

    def spoil(self, path, seq: int) -> None:
        with sqlite3.connect(path) as db:
            db.execute("UPDATE events SET at = 7.0 WHERE seq = ?", (seq,))
        db.close()

    def test_the_newest_part_is_looked_at_first(self, large):
        self.spoil(large, 95)
        with pytest.raises(DamagedJournal, match="fact 95 is not as written"):
            Journal(large)

    def test_the_rest_while_it_is_served(self, large):
        self.spoil(large, 50)
        journal = Journal(large)
        assert not journal.proven
        journal.commit(Batch(records=records([ev.DaemonStopped(pid=7)], seq=100)))
        with pytest.raises(DamagedJournal, match="fact 50 is not as written"):
            journal.prove(threading.Event())
        # Nor is it given to anybody who asks for it.
        assert len(journal.events(limit=49)) == 49
        with pytest.raises(DamagedJournal):
            journal.events(limit=50)
        journal.close()

    def test_a_whole_one_is_proven(self, large):
        journal = Journal(large)
        journal.prove(threading.Event())
        assert journal.proven
        journal.close()

    def test_the_end_does_not_wait_for_it(self, large, monkeypatch):
        journal = Journal(large)
        halt = threading.Event()
        halt.set()
        monkeypatch.setattr(integrity, "PATIENCE_STEPS", 1)
        with pytest.raises(StorageError, match="interrupted"):
            journal.prove(halt)
        assert not journal.proven
        journal.close()
