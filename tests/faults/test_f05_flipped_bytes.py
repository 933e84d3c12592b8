"""
F5: bytes of the journal are others than were written.

Either the start is refused, naming the file and what is wrong, or every record is provably as it was: most of a small
database is free space.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing

import msgspec
import pytest
from harness.check import check
from harness.journals import Writer, content, die, flipped, snapshot
from harness.mutant import Mutant
from harness.script import ask, gate, say, stream
from kit.files import wait_file
from kit.ground import Ground
from kit.processes import alive
from kit.script import DAY, question, task

from factories import RUN
from orchestrd.audit.finding import problems
from orchestrd.audit.home import check_home
from orchestrd.audit.ledger import read_ledger
from orchestrd.errors import DamagedJournal, NewerJournal
from orchestrd.storage.integrity import examine, log_of, reading
from orchestrd.storage.journal import Journal
from orchestrd.storage.mark import path_of
from orchestrd.storage.salvage import salvage
from orchestrd.storage.schema import EVENTS, RECORDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
REFUSED = (DamagedJournal, NewerJournal)


@pytest.fixture
def path(tmp_path):
    """
    A small journal, in one file.
    """
    writer = Writer(tmp_path / "orchestrd.db")
    writer.begin()
    writer.work(3)
    writer.journal.close()
    return writer.path


def says(path) -> list:
    """
    Every record of the database, without opening it as a journal.
    """
    with reading(path) as db:
        by_task = list(db.execute("SELECT seq FROM events WHERE task IS NOT NULL ORDER BY task, seq"))
        return [by_task, *(list(db.execute(query)) for query in (f"{EVENTS} ORDER BY seq", *RECORDS.values()))]


def test_each_byte_of_a_small_database(path, tally):
    size = path.stat().st_size
    before = says(path)
    dice = random.Random(5)
    refused = 0
    for at in range(size):
        with flipped(path, at, 1 << dice.randrange(8)):
            try:
                examine(path)
            except REFUSED as error:
                refused += 1
                assert str(path) in error.message
                assert error.exit_status == 78
            else:
                assert says(path) == before, f"byte {at}"
    assert 1500 < refused < size
    tally(
        "F5",
        checked=len(before[1]),
        note=f"a bit of each of {size:,} bytes: {refused:,} refused, the rest is free space",
    )


def test_a_flip_in_the_tables_own_description(path, tally):
    """
    Also where a text is no text any more: doctor does not fall over it, and a repair brings all back.
    """
    before = content(path)
    files = snapshot(path.parent)
    data = path.read_bytes()
    first = data[:4096]
    tried = 0
    for at in range(first.index(b"CREATE") if b"CREATE" in first else 0, 4096, 37):
        with flipped(path, at, 0x80):
            told = read_ledger(path)
            damaged = snapshot(path.parent)
            if told.damaged:
                tried += 1
                found = salvage(path, now=0.0)
                assert (found.lost_facts, found.lost_replies) == (0, 0)
                assert content(path) == before
            else:
                assert damaged == snapshot(path.parent)
        for rest in path.parent.glob("orchestrd*"):
            rest.unlink()
        for name, whole in files.items():
            (path.parent / name).write_bytes(whole)
    assert tried > 5
    tally("F5", note=f"the tables' description at {tried} places")


def test_each_byte_of_a_small_log(tmp_path, tally):
    writer = Writer(tmp_path / "orchestrd.db")
    writer.begin()
    writer.journal.close()
    writer = Writer(tmp_path / "orchestrd.db")
    writer.work(2)
    path = die(writer.path, tmp_path / "dead")
    writer.journal.close()
    log = log_of(path)
    before = says(path)
    for at in range(0, log.stat().st_size, 17):
        with flipped(log, at, 0x55):
            try:
                examine(path)
            except REFUSED:
                continue
            assert says(path) == before, f"byte {at}"
    tally("F5", note="each 17th of a log")


def test_each_byte_of_the_mark(path, tally):
    mark = path_of(path)
    for at in range(mark.stat().st_size):
        with flipped(mark, at, 0x01), pytest.raises(DamagedJournal, match=r"orchestrd\.mark"):
            examine(path)
    tally("F5", note="each of the mark")


def test_accepted_flips_harm_nothing_later(path):
    """
    What is accepted can be opened, written and opened again.
    """
    before = content(path)
    dice = random.Random(6)
    tried = 0
    files = snapshot(path.parent)
    size = path.stat().st_size
    # What says where a page has room: nobody misses it before something is written there.
    heads = [max(page, 100) + n for page in range(0, size, 4096) for n in range(8)]
    for at in [*range(100), *heads, *dice.sample(range(4096, size), 24)]:
        with flipped(path, at, 0xFF):
            try:
                examine(path)
            except REFUSED:
                continue
            tried += 1
            assert content(path) == before
            writer = Writer(path)
            writer.work(1)
            writer.journal.close()
            assert content(path)[0][: len(before[0])] == before[0]
        for rest in path.parent.glob("orchestrd*"):
            rest.unlink()
        for name, data in files.items():
            (path.parent / name).write_bytes(data)
    assert tried > 8


def said(path, before, found) -> None:
    """
    The new journal says what the old one did, as far as it can.
    """
    records, rows, cursors, _ = content(path)
    if not found.lost_end:
        assert (rows, cursors) == (before[1], before[2])
        records = [record for record in records if not record.event.name.startswith("journal.")]
        assert records == [record for record in before[0] if record in records]
        return
    assert records == before[0][: found.facts]
    assert cursors.get(RUN, 0) == max((record.source.end for record in records if record.source), default=0)
    # A part of the stream is there with all its facts, or is read again.
    parts, whole_parts = (Counter(r.source for r in some) for some in (records, before[0]))
    assert all(parts[source] == whole_parts[source] for source in parts if source is not None)


@pytest.mark.parametrize("rows_too", [False, True], ids=["facts", "facts and rows"])
def test_four_kilobytes_of_zeros_in_a_larger_one(tmp_path, tally, rows_too):
    """
    With the rows whole nothing that the facts did is lost with them; without, it is what the first of them did.
    """
    writer = Writer(tmp_path / "orchestrd.db")
    writer.begin()
    writer.work(2000, size=300, batch=200)
    total = writer.journal.last_seq()
    writer.journal.close()
    path = writer.path
    before = content(path)
    whole, files = path.read_bytes(), snapshot(path.parent)
    dice = random.Random(7)
    pages = len(whole) // 4096
    assert pages > 150
    if rows_too:
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE rows SET crc = crc + 1 WHERE kind = 'task'")
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole, files = path.read_bytes(), snapshot(path.parent)
    # Where the newest fact lies: what it did is known only from the rows.
    newest = whole.rindex(msgspec.json.encode(before[0][-1].event)) // 4096
    kept = []
    for page in [*range(8), newest, *dice.sample(range(8, pages), 11)]:
        path.write_bytes(whole[: page * 4096] + bytes(4096) + whole[(page + 1) * 4096 :])
        damaged = snapshot(path.parent)
        with pytest.raises(DamagedJournal) as refused:
            Journal(path)
        assert str(path) in refused.value.message
        assert snapshot(path.parent) == damaged
        found = salvage(path, now=1_795_341_600.0)
        kept.append(found.facts)
        assert found.facts + found.lost_facts == total
        assert found.lost_end == (found.lost_facts if rows_too else 0)
        assert [f.rpartition("/")[2] for f in found.quarantined] == ["orchestrd.db.bad-20261122T100000Z"]
        assert (path.parent / "orchestrd.db.bad-20261122T100000Z").read_bytes() == damaged["orchestrd.db"]
        said(path, before, found)
        # And it can be gone on with.
        writer = Writer(path)
        if found.facts >= 4:
            writer.work(1)
        writer.journal.close()
        for rest in path.parent.glob("orchestrd*"):
            rest.unlink()
        for name, data in files.items():
            (path.parent / name).write_bytes(data)
    # The tree above the facts, the tables' list and everything beside the facts cost none of them.
    assert kept[:8].count(total) >= 6
    tally("F5", checked=sum(kept), note=f"4 KiB of zeros at 20 places of {pages} pages: refused, salvaged, served")


def test_one_fact_that_is_lost_ends_nobody_and_begins_nothing_anew(fault_world, tally):
    world = fault_world()
    world.script("done", [stream(4), say()])
    world.script("held", [stream(6), gate("held"), stream(2), say()])
    world.script("asks", [stream(2), ask(question("Which?", "One", "Two")), say()])
    world.submit_tasks(task("done"), task("held"), task("asks"), day=DAY)
    held = world.gate.arrive("held")
    world.wait_event("question.asked")
    assert world.wait(f"{DAY}/done") == {"done": "succeeded"}
    spent = world.status("done")["cost_usd"]
    pids = world.living()
    world.kill()
    spoil(world, "events", "seq = (SELECT min(seq) FROM events WHERE type = 'task.submitted')")
    assert world.spawn().wait(30) == 78
    mended = world.orchctl("doctor", "--deep", "--repair")
    assert "lost: 1 facts" in mended.out, mended
    world.start()
    assert world.living() == pids
    assert world.status("done")["cost_usd"] == spent > 0
    held.release()
    world.write("question.answer", task="asks", options=["A"])
    assert world.wait() == {"done": "succeeded", "held": "succeeded", "asks": "succeeded"}
    assert len(world.events("run.started")) == 3
    tally(row="F5", kills=1, note="a fact lost under live agents", **check(world).counts)


def test_of_what_the_journal_lost_nothing_is_ended_and_nothing_done_twice(fault_world, tally):
    """
    The rows are damaged as well: an agent of whose start nothing is known any more stays, and its task waits for a person.
    """
    world = fault_world()
    world.script("done", [stream(4), say()])
    world.script("held", [stream(6), gate("held"), say()], [gate("again"), say()])
    world.submit_tasks(task("done"), task("held", depends_on=["done"]), day=DAY)
    held = world.gate.arrive("held")
    world.kill()
    spoil(world, "rows", "kind = 'task'")
    spoil(world, "events", f"type = 'run.started' AND run = '{DAY}/held/1'")
    assert world.spawn().wait(30) == 78
    mended = world.orchctl("doctor", "--deep", "--repair")
    assert f"{DAY}/held/1" in mended.out
    # Not the world's own start: that waits until every agent is followed.
    Ground.start(world)
    shown = world.status("held")
    assert shown["state"] == "failed"
    assert f"run {DAY}/held/1, whose files are still there" in shown["why"]
    wait_file(world.log, lambda data: b"run.unknown" in data)
    assert alive(held.pid)
    assert world.status("done")["state"] == "succeeded"
    # The person has looked, and wants another.
    world.write("task.retry", tasks=["held"])
    again = world.gate.arrive("again")
    assert held.gone()
    assert [e["run"] for e in world.events("run.started")] == [f"{DAY}/done/1", f"{DAY}/held/2"]
    again.release()
    assert world.wait() == {"done": "succeeded", "held": "succeeded"}
    assert not problems(check_home(world.home, environ=world.environ))
    tally(row="F5", kills=1, note="a start lost under a live agent")


def test_a_retry_that_was_lost_is_not_done_again(fault_world, tally):
    """
    Run 1 had died, run 2 is at work, and the journal ends before that: run 1 is settled again, and nothing follows.
    """
    world = fault_world()
    world.script("a", [stream(2), gate("first")], [stream(2), gate("second"), say()], [gate("third"), say()])
    world.submit_tasks(task("a"), day=DAY)
    os.kill(world.gate.arrive("first").pid, signal.SIGKILL)
    second = world.gate.arrive("second")
    world.kill()
    spoil(world, "rows", "kind = 'task'")
    spoil(world, "events", "type = 'run.exited'")
    mended = world.orchctl("doctor", "--deep", "--repair")
    assert "no other run begins by itself" in mended.out, mended
    Ground.start(world)
    world.wait_event("task.failed")
    assert f"run {DAY}/a/2, whose files are still there" in world.status("a")["why"]
    assert alive(second.pid)
    assert [e["run"] for e in world.events("run.started")] == [f"{DAY}/a/1"]
    world.write("task.retry", tasks=["a"])
    world.gate.arrive("third").release()
    assert second.gone()
    assert world.wait() == {"a": "succeeded"}
    assert not problems(check_home(world.home, environ=world.environ))
    tally(row="F5", kills=2, note="a retry lost under its agent")


@pytest.mark.parametrize("victim", ["task", "run"])
def test_a_salvage_s_rows_count_whole_or_not_at_all(fault_world, tally, victim):
    """
    What a first salvage put down is damaged, and so are the rows: the next daemon starts all the same.
    """
    world = fault_world()
    world.script("a", [stream(2), gate("a"), say()])
    world.submit_tasks(task("a"), day=DAY)
    world.gate.arrive("a")
    world.kill()
    spoil(world, "events", "seq = 3")
    assert "lost: 1 facts" in world.orchctl("doctor", "--deep", "--repair").out
    spoil(world, "events", f"type = 'journal.row_restored' AND CAST(body AS TEXT) LIKE '%\"kind\":\"{victim}\"%'")
    spoil(world, "rows", f"kind = '{victim}'")
    assert "problem" not in world.orchctl("doctor", "--deep", "--repair").out
    Ground.start(world)
    assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    tally(row="F5", kills=1, note="a salvage damaged")


def spoil(world, table: str, where: str) -> None:
    """
    The checksums of these records are wrong.
    """
    with closing(sqlite3.connect(world.home / "var" / "orchestrd.db")) as db:
        assert db.execute(f"UPDATE {table} SET crc = crc + 1 WHERE {where}").rowcount
        db.commit()


MUTANTS = (
    Mutant(
        "replies are not looked at",
        file="storage/integrity.py",
        old='            if whole or table != "replies":\n',
        new='            if table != "replies":\n',
        test="test_each_byte_of_a_small_database",
    ),
    Mutant(
        "whether it can be written is not asked of a journal",
        file="storage/integrity.py",
        old="        if file.read(19)[18:] not in",
        new="        if False and file.read(19)[18:] not in",
        test="test_accepted_flips_harm_nothing_later",
    ),
    Mutant(
        "a text that is no text is no damage",
        file="audit/ledger.py",
        old="(StorageError, sqlite3.Error, OSError, UnicodeDecodeError)",
        new="(StorageError, sqlite3.Error, OSError)",
        test="test_a_flip_in_the_tables_own_description",
    ),
    Mutant(
        "how new the rows are is asked of the facts",
        file="storage/remains.py",
        old="if key == NEWEST), None)",
        new="if key == 0), None)",
        test="test_four_kilobytes_of_zeros_in_a_larger_one",
    ),
    Mutant(
        "only a task that waits for its turn is held",
        file="domain/unknown.py",
        old="            facts.append(ev.TaskHeld(task=task, reason=reason))",
        new="            pass",
        test="test_a_retry_that_was_lost_is_not_done_again",
    ),
    Mutant(
        "half of a salvage's rows count",
        file="domain/history.py",
        old=" and r.seq + r.event.rows <= newest",
        new="",
        test="test_a_salvage_s_rows_count_whole_or_not_at_all",
    ),
    Mutant(
        "whatever comes after a lost fact is lost with it",
        file="storage/salvage.py",
        old="bridge(remains, state, good, now=now) if good < remains.newest else None",
        new="None",
        test="test_one_fact_that_is_lost_ends_nobody_and_begins_nothing_anew",
    ),
    Mutant(
        "facts behind a loss are added up again",
        file="domain/history.py",
        old="        if any(record.seq in span for span in spans):\n            continue\n",
        new="",
        test="test_four_kilobytes_of_zeros_in_a_larger_one",
    ),
    Mutant(
        "an agent that nobody knows is ended",
        file="services/sweeper.py",
        old='                log.warning("run.unknown", run=run)\n',
        new='                log.warning("run.unknown", run=run)\n                await self._end_tree(path)\n',
        test="test_of_what_the_journal_lost_nothing_is_ended_and_nothing_done_twice",
    ),
    Mutant(
        "a task whose run is not known is begun anew",
        file="domain/unknown.py",
        old="            facts.append(ev.TaskFailed(task=task, outcome=Outcome.ABANDONED, reason=reason))",
        new="            pass",
        test="test_of_what_the_journal_lost_nothing_is_ended_and_nothing_done_twice",
    ),
    Mutant(
        "another run begins beside one that nobody knows",
        file="services/runs.py",
        old="            await patiently(lambda: self._sweeper.end_unknown(task.key))\n",
        new="",
        test="test_of_what_the_journal_lost_nothing_is_ended_and_nothing_done_twice",
    ),
    Mutant(
        "checksums are not compared",
        file="storage/schema.py",
        old="    return crc(record[:-1]) == record[-1]",
        new="    return record[-1] is not None",
        test="test_each_byte_of_a_small_database",
    ),
    Mutant(
        "the index is not looked at",
        file="storage/integrity.py",
        old="PRAGMA integrity_check(10)",
        new="PRAGMA quick_check(10)",
        test="test_each_byte_of_a_small_database",
    ),
    Mutant(
        "the mark's own checksum is not compared",
        file="storage/mark.py",
        old="    if found is None or int(found[4], 16) != zlib.crc32(data[: found.start(4) - 1]):",
        new="    if found is None:",
        test="test_each_byte_of_the_mark",
    ),
    Mutant(
        "only what SQLite still finds is salvaged",
        file="storage/remains.py",
        old="            self._dig(by_number, by_request)",
        new="            pass",
        test="test_four_kilobytes_of_zeros_in_a_larger_one",
    ),
    Mutant(
        "a salvaged part of a stream lacks facts, and is not read again",
        file="storage/salvage.py",
        old="    while end and facts[end - 1].source == last:\n        end -= 1",
        new="    end -= 1",
        test="test_four_kilobytes_of_zeros_in_a_larger_one",
    ),
    Mutant(
        "what is whole is taken for complete",
        file="storage/integrity.py",
        old="    if mark.seq > found.seq:\n",
        new="    if mark.seq > found.seq and not found.whole:\n",
        test="test_each_byte_of_a_small_log",
    ),
    Mutant(
        "only records are looked at, not what holds them",
        file="storage/integrity.py",
        old='    if whole:\n        yield from _as_far("the file", _structure(db))\n',
        new="",
        test="test_accepted_flips_harm_nothing_later",
    ),
)
