"""
Save what is whole of a damaged journal.

The files are copied aside as they are.  Then a new journal is made of everything that is intact.  When what all facts added up
to is there, whole, nothing of the state is lost with a fact (`bridge`).  Otherwise the journal is made of the longest run of
facts, from the first, that is intact: the rows are what those add up to, the cursors are where they end, so that what was lost
of a stream is simply read again; and a task of which a run directory tells more than the journal waits for a person.  Replies
are kept when the facts they tell of are.  A crash leaves the old files, until the new journal is complete; from then on it
counts, and the next call finishes.  The caller holds the home's lock.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.history import effective
from orchestrd.domain.state import State
from orchestrd.domain.unknown import held_back
from orchestrd.errors import OrchestrdError
from orchestrd.failpoint import failpoint
from orchestrd.storage import mark as marks
from orchestrd.storage.bridge import bridge
from orchestrd.storage.failure import telling
from orchestrd.storage.home import sync_folder
from orchestrd.storage.integrity import examine, log_of, reading, salvaged_of
from orchestrd.storage.journal import make
from orchestrd.storage.records import Batch
from orchestrd.storage.remains import Remains


class Salvaged(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of a damaged journal.
    """

    quarantined: tuple[str, ...]
    """The copies of the old files."""
    facts: int
    """Facts that were kept."""
    lost_facts: int
    """Facts that are lost, as far as is known."""
    first_lost: int | None
    replies: int
    lost_replies: int
    damaged: tuple[str, ...]
    """The tables in which something was not as written."""
    unknown_runs: tuple[str, ...]
    """Runs that have a directory, and whose start is among what was lost: nobody follows them."""
    unread_runs: tuple[str, ...]
    """Open runs, begun under schema 1, of whose stream a part may be missing that will not be read again."""
    lost_end: int = 0
    """Facts at the end that are lost together with what they did; those of a stream are read again when its run is taken up."""
    counted: bool = True
    """False when nothing tells how many facts there were: *lost_facts* are the fewest that it can be."""
    held: tuple[str, ...] = ()
    """Tasks that wait for a person, because nobody knows what their unknown runs came to."""


def salvage(path: Path, *, now: float) -> Salvaged:
    """
    Save what is whole of the journal at *path*; *now* (wall seconds) names the copies.

    Raises `DiskFull`, `StorageError`; then the old files are as they were.
    """
    complete = salvaged_of(path)
    with telling(path, "could not be salvaged"):
        if not complete.exists():
            copies = _quarantine(path, now)
            batch, result = _kept(path, copies, now)
            new = path.with_name(f"{path.name}.new")
            make(new, batch, identity=secrets.token_hex(16), salvaged=msgspec.json.encode(result).decode())
            examine(new, whole=True)
            new.rename(complete)
            sync_folder(path.parent)
        failpoint("journal.salvaged.before_swap")
        return _swap(path, complete)


def told_by(path: Path) -> Salvaged | None:
    """
    What became of the damaged journal in whose place the whole one at *path* is; None when there was none.

    Raises `StorageError`.
    """
    with telling(path, "cannot be read"), reading(path) as db:
        found = db.execute("SELECT value FROM meta WHERE key = 'salvaged'").fetchone()
    return None if found is None else msgspec.json.decode(found[0], type=Salvaged)


def _swap(path: Path, complete: Path) -> Salvaged:
    with closing(sqlite3.connect(f"file:{quote(os.fsencode(complete))}?immutable=1", uri=True)) as db:
        known = dict(db.execute("SELECT key, value FROM meta"))
        seq = int(db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])
        replies = int(db.execute("SELECT count(*) FROM replies").fetchone()[0])
    # The old log first: SQLite would apply it to whatever database lies beside it.
    for suffix in ("-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
    sync_folder(path.parent)
    failpoint("journal.salvaged.mid_swap")
    marks.MarkFile(marks.path_of(path), marks.Mark(identity=known["identity"], seq=seq, replies=replies)).close()
    complete.rename(path)
    sync_folder(path.parent)
    return msgspec.json.decode(known["salvaged"], type=Salvaged)


def _quarantine(path: Path, now: float) -> tuple[str, ...]:
    """
    Copy the journal's files as they are; no copy ever takes the place of another.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    files = [file for file in (path, log_of(path), path.with_name(f"{path.name}-shm")) if file.exists()]
    number = 1
    while True:
        bad = path.with_name(f"{path.name}.bad-{stamp}{'' if number == 1 else f'-{number}'}")
        copies = [(file, bad.with_name(f"{bad.name}{file.name.removeprefix(path.name)}")) for file in files]
        if not any(copy.exists() for _, copy in copies):
            break
        number += 1
    try:
        for file, copy in copies:
            fd = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as target, file.open("rb") as source:
                shutil.copyfileobj(source, target)
                target.flush()
                os.fsync(target.fileno())
    except OSError:
        for _, copy in copies:
            copy.unlink(missing_ok=True)
        raise
    return tuple(str(copy) for _, copy in copies)


def _kept(path: Path, copies: tuple[str, ...], now: float) -> tuple[Batch, Salvaged]:
    """
    What the new journal holds, and what is told of it.
    """
    remains = Remains(path)
    whole = [remains.facts[seq] for seq in range(1, _whole(remains) + 1)]
    state, good = _folded(whole)
    impossible = good < len(whole)
    bridged = bridge(remains, state, good, now=now) if good < remains.newest else None
    beyond, reached = _folded(bridged or ())
    if bridged is not None and reached == len(bridged):
        facts, state = bridged, beyond
        kept = sum(remains.facts.get(fact.seq) is fact for fact in facts)
        reach = next(fact.seq for fact in reversed(facts) if isinstance(fact.event, ev.JournalSalvaged)) - 1
    else:
        facts, state = _shortened(remains, whole)
        kept = reach = len(facts)
    if impossible:
        remains.damaged.add("events")
    lost = remains.newest - kept
    replies = [reply for reply in remains.replies if (reply.seq or 0) <= reach]
    folder = path.parent / "agent_logs"
    found = {str(spec.parent.relative_to(folder)) for spec in folder.glob("*/*/*/spec.json")}
    unknown = sorted(run for run in found if state.run(run) is None)
    start = facts[-1].seq if facts else 0
    held = [ev.Record(seq=start + n, at=now, event=fact) for n, fact in enumerate(held_back(state, unknown), 1)]
    state.put_all(row for fact in held for row in fold(state, fact))
    unread = remains.uncertain | (_scattered(facts) if reach < remains.newest else set())
    return Batch(records=[*facts, *held], rows=list(state.own_rows()), replies=replies), Salvaged(
        quarantined=copies,
        facts=kept,
        lost_facts=lost,
        first_lost=_first_missing(remains, facts) if lost else None,
        replies=len(replies),
        lost_replies=max(remains.mark.replies, len(remains.replies)) - len(replies),
        damaged=tuple(sorted(remains.damaged)),
        unknown_runs=tuple(unknown),
        unread_runs=tuple(sorted(run.key for run in state.runs() if run.open and run.key in unread)),
        lost_end=remains.newest - reach,
        counted=remains.counted,
        held=tuple(fact.event.task for fact in held if isinstance(fact.event, ev.TaskFailed | ev.TaskHeld)),
    )


def _shortened(remains: Remains, whole: list[ev.Record]) -> tuple[list[ev.Record], State]:
    """
    As many of the facts that are *whole* as a journal can be made of, and what they add up to.
    """
    facts = whole
    while True:
        if len(facts) < remains.newest:
            facts = _whole_parts(facts)
        state, good = _folded(facts)
        if good == len(facts):
            return facts, state
        facts = facts[:good]


def _first_missing(remains: Remains, facts: list[ev.Record]) -> int:
    return next((fact.seq for fact in facts if remains.facts.get(fact.seq) is not fact), len(facts) + 1)


def _whole(remains: Remains) -> int:
    """
    The number up to which no fact is missing.
    """
    seq = 0
    while seq + 1 in remains.facts:
        seq += 1
    return seq


def _whole_parts(facts: list[ev.Record]) -> list[ev.Record]:
    """
    *facts* without those at the end that come from one part of a stream: the next of that part may be what is lost, and a
    part is read again as a whole or not at all.
    """
    last = facts[-1].source if facts else None
    if last is None or last.run in _scattered(facts):
        return facts
    end = len(facts)
    while end and facts[end - 1].source == last:
        end -= 1
    return facts[:end]


def _scattered(facts: Sequence[ev.Record]) -> set[str]:
    """
    Runs with facts of one part of their stream between which others stand: schema 1 knew only one part for all of them.
    """
    seen: set[ev.Cursor] = set()
    found: set[str] = set()
    last: ev.Cursor | None = None
    for source in (fact.source for fact in facts):
        if source is not None and source != last:
            if source in seen:
                found.add(source.run)
            seen.add(source)
        last = source
    return found


def _folded(facts: Sequence[ev.Record]) -> tuple[State, int]:
    """
    What *facts* add up to, as far as each can follow those before it, and how many that are.
    """
    state = State()
    read: dict[str, tuple[int, int]] = {}
    counted = {fact.seq for fact in effective(facts)}
    last = max(counted, default=0)
    for number, fact in enumerate(facts):
        source = fact.source
        if source is not None and read.get(source.run) != (source.start, source.end):
            if source.start != read.get(source.run, (0, 0))[1] or source.end < 0:
                return state, number
            read[source.run] = (source.start, source.end)
        if fact.seq not in counted:
            if fact.seq > last:
                return state, number
            continue
        try:
            rows = fold(state, fact)
        except OrchestrdError:
            return state, number
        state.put_all(rows)
    return state, len(facts)
