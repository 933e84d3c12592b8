"""
F4: the journal's database or its log ends too early, at any byte.

SQLite takes a log that was cut for one that ends there, and says nothing; the mark beside the journal tells.
"""

from __future__ import annotations

import pytest
from harness.journals import Writer, content, die, snapshot
from harness.mutant import Mutant

from orchestrd.errors import DamagedJournal
from orchestrd.storage.integrity import examine, log_of
from orchestrd.storage.journal import Journal
from orchestrd.storage.salvage import salvage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STRIDE = 31
"""Between two cuts in the middle of a page; around every edge in the file each byte is cut."""


@pytest.fixture
def dead(tmp_path):
    """
    What a killed daemon left: a database, three transactions in its log, a mark.
    """
    writer = Writer(tmp_path / "live.db")
    writer.begin()
    writer.journal.close()
    writer = Writer(tmp_path / "live.db")
    writer.work(3)
    path = die(writer.path, tmp_path / "dead")
    writer.journal.close()
    return path


@pytest.fixture
def before(dead, tmp_path):
    """
    What it says.
    """
    return content(die(dead, tmp_path / "whole"))


def cuts(size: int) -> list[int]:
    """
    Where a file of this size is cut, the longest rest first.
    """
    edges = {32 + n * 4120 + k for n in range(size // 4120 + 1) for k in range(-32, 32)}
    return sorted({*range(0, size, STRIDE), *(n for n in edges if 0 <= n < size), size - 1}, reverse=True)


def test_the_log_is_cut(dead, before, tally):
    log = log_of(dead)
    whole = log.read_bytes()
    for size in cuts(len(whole)):
        with log.open("r+b") as file:
            file.truncate(size)
        with pytest.raises(DamagedJournal) as refused:
            examine(dead)
        assert str(dead) in refused.value.message
        assert "missing" in refused.value.message or "damaged" in refused.value.message
        assert refused.value.exit_status == 78
    assert log.read_bytes() == b""
    log.write_bytes(whole)
    assert content(dead) == before
    tally(
        "F4",
        checked=len(before[0]),
        note=f"the log cut at {len(cuts(len(whole)))} places: refused, {dead.name} untouched",
    )


def test_the_database_is_cut(dead, before, tally, tmp_path):
    whole = dead.read_bytes()
    harmless = []
    for size in cuts(len(whole)):
        with dead.open("r+b") as file:
            file.truncate(size)
        try:
            examine(dead)
        except DamagedJournal:
            continue
        harmless.append(size)
    # The last pages may be whole in the log: then nothing of them is missed.
    if harmless:
        assert harmless == cuts(len(whole))[: len(harmless)]
        assert len(harmless) < len(cuts(len(whole))) / 2
        dead.write_bytes(whole[: harmless[-1]])
        assert content(die(dead, tmp_path / "cut")) == before
    tally("F4", note=f"the database at {len(cuts(len(whole)))}")


def test_a_refused_start_changes_nothing_and_a_salvage_gives_what_was_there_before(dead, before, tally):
    log = log_of(dead)
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 1)
    cut = snapshot(dead.parent)
    for _ in range(2):
        with pytest.raises(DamagedJournal, match="fact 9 is missing") as refused:
            Journal(dead)
        assert "doctor --deep --repair" in refused.value.hint
        assert snapshot(dead.parent) == cut
    found = salvage(dead, now=0.0)
    assert (found.facts, found.lost_facts, found.first_lost) == (7, 2, 8)
    records, _, cursors, replies = content(dead)
    # The last part of the stream that is left is given up too: it could have lost a fact.  It is read again.
    assert records == before[0][: len(records)]
    assert cursors == dict.fromkeys(cursors, records[-1].source.end)
    assert replies == before[3]
    tally("F4", checked=len(records), note="then salvaged")


MUTANTS = (
    Mutant(
        "the mark is not looked at",
        file="storage/integrity.py",
        old="    if mark is None or not (mark.seq or mark.replies):",
        new="    if True:",
        test="test_the_log_is_cut",
    ),
    Mutant(
        "the mark is written before the first commit only",
        file="storage/journal.py",
        old="        self._mark_file.put(self._mark)\n",
        new="        if self._commits < 1:\n            self._mark_file.put(self._mark)\n",
        test="test_the_log_is_cut",
    ),
    Mutant(
        "a failed start folds the log",
        file="storage/integrity.py",
        old='"mode=ro" if log_of(path).exists() else "immutable=1"',
        new='"mode=rw"',
        test="test_a_refused_start_changes_nothing_and_a_salvage_gives_what_was_there_before",
    ),
    Mutant(
        "what SQLite cannot read is passed over",
        file="storage/integrity.py",
        old='        yield f"{table}: {error}"\n',
        new="        return\n",
        test="test_the_database_is_cut",
    ),
)
