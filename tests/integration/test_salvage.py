"""
What is whole of a damaged journal is saved, and what is not is told.
"""

import random
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from harness.journals import Writer, content
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import RUN, exited, make_task, started, submitted
from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.model import Usage
from orchestrd.domain.state import State
from orchestrd.storage.journal import Journal
from orchestrd.storage.records import Batch
from orchestrd.storage.salvage import Salvaged, salvage

GOLDEN = Path(__file__).parents[1] / "data" / "homes" / "0.1.0-schema1" / "var"
NOW = 1_795_341_600.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "var" / "orchestrd.db"


@pytest.fixture
def writer(path):
    path.parent.mkdir()
    made = Writer(path)
    yield made
    made.journal.close()


def zero(path, fact: int) -> None:
    """
    Overwrite the page that holds this fact.
    """
    data = path.read_bytes()
    with sqlite3.connect(f"file:{path}?immutable=1", uri=True) as db:
        (body,) = db.execute("SELECT body FROM events WHERE seq = ?", (fact,)).fetchone()
    db.close()
    page = data.index(body) // 4096
    path.write_bytes(data[: page * 4096] + bytes(4096) + data[(page + 1) * 4096 :])


def damage_rows(path) -> None:
    """
    Nobody knows any more what the facts added up to.
    """
    with sqlite3.connect(path) as db:
        db.execute("UPDATE rows SET body = body || ' ' WHERE kind = 'run'")
    db.close()


def test_a_whole_one_loses_nothing(writer, path):
    writer.begin()
    writer.work(20)
    writer.journal.close()
    before = content(path)
    found = salvage(path, now=NOW)
    assert found == Salvaged(
        quarantined=(str(path.with_name("orchestrd.db.bad-20261122T100000Z")),),
        facts=26,
        lost_facts=0,
        first_lost=None,
        replies=2,
        lost_replies=0,
        damaged=(),
        unknown_runs=(),
        unread_runs=(),
    )
    assert content(path) == before


def test_in_a_folder_whose_name_means_something_in_an_address(tmp_path):
    path = tmp_path / "50% #1?" / "orchestrd.db"
    path.parent.mkdir()
    writer = Writer(path)
    writer.begin()
    writer.journal.close()
    before = content(path)
    assert salvage(path, now=NOW).lost_facts == 0
    assert content(path) == before


def test_copies_are_private_and_none_takes_the_place_of_another(writer, path):
    writer.begin()
    writer.journal.close()
    names = [salvage(path, now=NOW).quarantined[0] for _ in range(3)]
    assert [name.rpartition("bad-")[2] for name in names] == [
        "20261122T100000Z", "20261122T100000Z-2", "20261122T100000Z-3",
    ]  # fmt: skip
    assert {stat.S_IMODE(Path(name).stat().st_mode) for name in names} == {0o600}


def test_what_was_lost_is_told_and_remembered(writer, path):
    writer.begin()
    writer.work(200, size=200)
    writer.put(exited(), ev.TaskSucceeded(task=RUN.rpartition("/")[0]), request="r3")
    writer.journal.close()
    before = content(path)
    damage_rows(path)
    zero(path, 150)
    found = salvage(path, now=NOW)
    assert found.lost_end == found.lost_facts
    assert found.facts < 150 <= found.facts + found.lost_facts
    assert found.facts + found.lost_facts == 208
    assert found.first_lost == found.facts + 1
    assert "events" in found.damaged
    assert (found.replies, found.lost_replies) == (2, 1)
    records, rows, cursors, replies = content(path)
    assert records == before[0][: found.facts]
    # The run is open again and its stream is read on from where the facts end.
    state = State()
    for record in records:
        for row in fold(state, record):
            state.put(row)
    assert rows == sorted(map(msgspec.json.encode, state.own_rows()))
    assert state.run(RUN).open
    assert cursors == {RUN: records[-1].source.end}
    assert set(replies) == {"r1", "r2"}
    with sqlite3.connect(path) as db:
        (told,) = db.execute("SELECT value FROM meta WHERE key = 'salvaged'").fetchone()
    db.close()
    assert msgspec.json.decode(told, type=Salvaged) == found


def test_what_lost_facts_did_stands(writer, path):
    """
    Forty facts in the middle are gone with their pages; all others, every row and every cursor are there.
    """
    writer.begin()
    writer.work(200, size=200)
    writer.put(exited(), ev.TaskSucceeded(task=RUN.rpartition("/")[0]), request="r3")
    writer.journal.close()
    before = content(path)
    zero(path, 150)
    found = salvage(path, now=NOW)
    assert found.lost_end == 0
    assert (found.replies, found.lost_replies) == (3, 0)
    records, rows, cursors, replies = content(path)
    assert (rows, cursors, replies) == (before[1], before[2], before[3])
    old = {record.seq: record for record in before[0]}
    lost = [record for record in records if isinstance(record.event, ev.FactLost)]
    assert len(lost) == found.lost_facts > 3
    assert lost[0].seq == found.first_lost
    assert found.facts + found.lost_facts == len(old)
    kept = [record for record in records if record.seq in old and not isinstance(record.event, ev.FactLost)]
    assert kept == [old[record.seq] for record in kept]
    # One of them covers what no other fact tells of the stream.
    (cover,) = [record.source for record in lost if record.source is not None]
    assert (cover.start, cover.end) == (old[lost[0].seq].source.start, old[lost[-1].seq].source.end)
    salvaged = records[len(old)].event
    assert salvaged == ev.JournalSalvaged(first=found.first_lost, lost=len(lost), rows=len(records) - len(old) - 1)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    # And it goes on.
    after = Writer(path)
    after.put(ev.TaskApplied(task=RUN.rpartition("/")[0]))
    after.journal.close()
    assert salvage(path, now=NOW).lost_facts == 0
    assert [r.event for r in content(path)[0]][-1] == ev.TaskApplied(task=RUN.rpartition("/")[0])


@given(lost=st.sets(st.integers(1, 40)), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_any_facts_of_several_streams_may_be_lost(lost, seed):
    """
    Whichever are lost, of however many streams at once: the new journal is one that a start takes, and says the same.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orchestrd.db"
        crowd(path, random.Random(seed))
        before = content(path)
        with closing(sqlite3.connect(path)) as db:
            db.executemany("UPDATE events SET crc = crc + 1 WHERE seq = ?", [(seq,) for seq in lost])
            db.commit()
        found = salvage(path, now=NOW)
        assert found.lost_facts == len(lost & {record.seq for record in before[0]})
        records, *rest = content(path)
        assert rest == list(before[1:])
        kept = {record.seq: record for record in records if not isinstance(record.event, ev.FactLost)}
        assert all(kept.get(r.seq) == (None if r.seq in lost else r) for r in before[0])


def crowd(path: Path, dice: random.Random) -> None:
    """
    Four runs whose streams are read in turns, several facts at once, one of them cut off and read on.
    """
    journal, state, read, seq = Journal(path), State(), {}, 0
    tasks = [f"2026-11-22/{name}" for name in "abcd"]
    first = [fact for task in tasks for fact in (ev.TaskSubmitted(task=task, spec=make_task(task[-1])), started(task))]
    batches = [(None, first)]
    for number in range(20):
        run = f"{dice.choice(tasks)}/1"
        facts = [ev.ToolCalled(run=run, call=f"c{number}-{n}", tool="Bash") for n in range(dice.randint(1, 3))]
        batches.append((run, facts))
    for run, facts in batches:
        source = None
        if run is not None:
            start = read.get(run, 0)
            end = start - 5 if start and dice.random() < 0.2 else start + dice.randint(10, 50)
            source = ev.Cursor(run=run, start=start, end=end)
            read[run] = end
        records = [ev.Record(seq=seq + n, at=NOW, event=fact, source=source) for n, fact in enumerate(facts, 1)]
        seq += len(records)
        rows = {}
        for record in records:
            for row in fold(state, record):
                state.put(row)
                rows[type(row), row.key] = row
        journal.commit(Batch(records=records, rows=list(rows.values())))
    journal.close()


def test_damage_beside_the_facts_costs_none_of_them(writer, path):
    writer.begin()
    writer.work(5)
    writer.journal.close()
    before = content(path)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE rows SET body = '{}'")
        db.execute("UPDATE cursors SET offset = 7")
    db.close()
    found = salvage(path, now=NOW)
    assert found.damaged == ("cursors", "rows")
    assert (found.facts, found.lost_facts) == (11, 0)
    assert content(path) == before


def test_runs_whose_start_was_lost_are_named(writer, path):
    writer.begin()
    writer.put(*submitted(make_task("b", order=1))[1:])
    writer.work(100, size=300)
    writer.put(started(f"{RUN.partition('/')[0]}/b"))
    writer.journal.close()
    for run in (RUN, f"{RUN.partition('/')[0]}/b/1"):
        folder = path.parent / "agent_logs" / run
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text("{}")
    damage_rows(path)
    zero(path, 80)
    found = salvage(path, now=NOW)
    task = f"{RUN.partition('/')[0]}/b"
    assert found.unknown_runs == (f"{task}/1",)
    # It may be done, or under way: a person is to look before it is begun again.
    assert found.held == (task,)
    journal = Journal(path)
    row = State(journal.rows()).task(task)
    assert (row.state, row.outcome, row.attempts) == ("failed", "abandoned", 0)
    assert f"{task}/1, whose files are still there" in row.reason
    journal.close()


def test_facts_that_cannot_follow_what_is_left_are_left_out(writer, path):
    """
    Whole, numbered, and yet impossible: it stays as history, and adds nothing up.
    """
    writer.begin()
    journal = writer.journal
    late = ev.Record(seq=7, at=NOW, event=ev.TaskApplied(task="2026-11-22/never"))
    journal.commit(Batch(records=[late]))
    journal.close()
    rows = content(path)[1]
    found = salvage(path, now=NOW)
    assert (found.facts, found.lost_facts, found.damaged, found.lost_end) == (7, 0, ("events",), 0)
    assert content(path)[1] == rows


def test_rows_stored_as_whole_numbers_and_long_bodies_are_found_again(writer, path):
    """
    Found page by page, where the tree above them is gone.
    """
    writer.begin()
    writer.put(
        ev.TurnEnded(run=RUN, is_error=False, terminal_reason=None, text="ü" * 30_000),
        ev.SpendSeen(run=RUN, message="m", model="x", usage=Usage(input=1), cost=2**40),
        stream=10,
    )
    writer.work(300)
    writer.journal.close()
    before = content(path)
    data = path.read_bytes()
    with sqlite3.connect(f"file:{path}?immutable=1", uri=True) as db:
        roots = [row[0] for row in db.execute("SELECT rootpage FROM sqlite_schema")]
    db.close()
    for root in roots:
        data = data[: (root - 1) * 4096] + bytes(4096) + data[root * 4096 :]
    path.write_bytes(b"\0" * 4096 + data[4096:])
    found = salvage(path, now=NOW)
    assert (found.facts, found.lost_facts) == (308, 0)
    assert content(path)[:3] == before[:3]


class TestSchema1:
    @pytest.fixture
    def path(self, tmp_path):
        shutil.copytree(GOLDEN, tmp_path / "var")
        return tmp_path / "var" / "orchestrd.db"

    def test_a_whole_one_loses_nothing(self, path, tmp_path):
        found = salvage(path, now=NOW)
        assert (found.facts, found.lost_facts, found.replies) == (126, 0, 5)
        assert found.damaged == ()
        other = tmp_path / "migrated.db"
        shutil.copy(GOLDEN / "orchestrd.db", other)
        assert content(path) == content(other)

    def test_of_a_stream_that_was_cut_nothing_is_read_twice(self, path):
        """
        Schema 1 knew only how far a stream was read in the end, not for which fact.
        """
        zero(path, 122)
        found = salvage(path, now=NOW)
        assert found.facts < 122
        assert found.lost_facts >= 1
        journal = Journal(path)
        cursors, sources = journal.cursors(), {r.source for r in journal.events(limit=1000) if r.source}
        journal.close()
        assert cursors == {source.run: source.end for source in sources}
        open_runs = [run for run in found.unread_runs if run in cursors]
        assert open_runs == list(found.unread_runs)


def test_an_impossible_place(tmp_path):
    with pytest.raises(Exception, match="could not be salvaged"):
        salvage(tmp_path / "none" / "orchestrd.db", now=NOW)
