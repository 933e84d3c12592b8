"""
I1: the journal's facts are whole.  I4: what was acknowledged is in it.  I5: its rows are what its facts add up to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrd.audit.finding import Notes
from orchestrd.audit.picture import Picture
from orchestrd.domain.fold import fold
from orchestrd.domain.history import effective
from orchestrd.domain.rows import Row
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition
from orchestrd.storage.failure import REPAIR
from orchestrd.storage.schema import SCHEMA_VERSION


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """
    A write that a client was answered: *result* as it was answered, or None when only the fact of it is known.
    """

    method: str
    result: Any = None


def check_facts(picture: Picture) -> Notes:
    """
    I1: the journal is what was written: numbers run from 1 without a gap, every checksum is right, every record can be
    read, SQLite finds its file in order, and the mark beside it knows of nothing more.
    """
    notes = Notes("I1")
    ledger = picture.ledger
    if ledger.unreadable:
        notes.problem("", ledger.unreadable, hint=ledger.hint, mendable=ledger.damaged)
        return notes
    notes.count("facts", len(ledger.records))
    for fault in ledger.faults:
        notes.problem(fault.subject, fault.detail, hint=REPAIR, mendable=True)
    return notes


def check_requests(picture: Picture, ledger: Mapping[str, Acknowledged]) -> Notes:
    """
    I4: every acknowledged write of *ledger*, by its request id, is in the journal with the answer that was given.
    """
    notes = Notes("I4")
    replies = picture.ledger.replies
    notes.count("replies", len(replies))
    decoded: dict[str, Any] = {}
    for reply in replies.values():
        try:
            decoded[reply.request] = msgspec.json.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
            notes.problem(f"request {reply.request}", f"the answer to {reply.method} cannot be read: {error}")
    for request, known in ledger.items():
        notes.count("acknowledged")
        stored = replies.get(request)
        if stored is None:
            notes.problem(f"request {request}", f"{known.method} was acknowledged, and the journal knows nothing of it")
        elif stored.method.partition(" ")[0] != known.method:
            notes.problem(f"request {request}", f"{known.method} was acknowledged, recorded is {stored.method}")
        elif request in decoded and not _same(known.result, decoded[request]):
            notes.problem(f"request {request}", f"{known.method} was answered otherwise than recorded")
    return notes


def _same(given: Any, stored: Any) -> bool:
    # An answer to a question is recorded as the question's id and shown as the whole question.
    return given is None or given == stored or (isinstance(given, dict) and given.get("id") == stored)


def folded(picture: Picture) -> dict[tuple[str, str], Row]:
    """
    The rows that the facts add up to, by kind and key.

    Raises `IllegalTransition` naming the first fact that cannot follow those before it.
    """
    state = State()
    for record in effective(picture.ledger.records):
        try:
            rows = fold(state, record)
        except IllegalTransition as error:
            raise IllegalTransition(f"fact {record.seq}, {record.event.name}: {error}") from None
        for row in rows:
            state.put(row)
    return {(str(row.__struct_config__.tag), row.key): row for row in state.own_rows()}


def check_rows(picture: Picture) -> Notes:
    """
    I5: every row is what the facts add up to, and there is no other.
    """
    notes = Notes("I5")
    known = picture.ledger.rows
    notes.count("rows", len(known))
    try:
        expected = folded(picture)
    except IllegalTransition as error:
        hint = "The rows stay as they are: they cannot be made again from these facts."
        notes.problem("", f"the facts do not add up: {error}", hint=hint)
        return notes
    for orphan, wants in _dangling(picture):
        hint = "Keep a copy of the home, and report it."
        notes.problem(orphan, f"it belongs to {wants}, which is not known: no daemon can go on with it", hint=hint)
    hint = "`orchctl doctor --deep --repair` makes the rows again from the facts."
    for name in sorted(expected.keys() | known.keys()):
        kind, key = name
        row, wanted = known.get(name), expected.get(name)
        if not differs(picture, row, wanted):
            continue
        if row is None:
            detail = "the facts make one, the database has none"
        elif wanted is None:
            detail = "the database has one that no fact made"
        else:
            detail = _difference(row, wanted)
        notes.problem(f"{kind} {key}", detail, hint=hint, mendable=picture.readable and not picture.ledger.faults)
    return notes


def differs(picture: Picture, row: Row | None, wanted: Row | None) -> bool:
    """
    True when *row* is not what it should be.  Rows of an older version know less: the daemon that opens its journal makes them
    anew.
    """
    if picture.ledger.version < SCHEMA_VERSION:
        return (row is None) is not (wanted is None)
    return row != wanted


def _dangling(picture: Picture) -> list[tuple[str, str]]:
    """
    Rows, and what they belong to that is not there.
    """
    state = picture.state
    return [
        *((f"run {run.key}", f"task {run.task}") for run in picture.runs if state.task(run.task) is None),
        *(
            (f"question {q.id}", f"run {q.run}")
            for q in picture.questions
            if not q.of_daemon and state.run(q.run) is None
        ),
    ]


def _difference(row: Row, wanted: Row) -> str:
    """
    The fields in which *row* is not *wanted*; no text of a person's or an agent's is shown.
    """
    said = []
    for name in wanted.__struct_fields__:
        is_, should = getattr(row, name), getattr(wanted, name)
        if is_ != should:
            plain = isinstance(should, int | float | None) and isinstance(is_, int | float | None)
            said.append(f"{name} is {is_}, the facts make {should}" if plain else f"{name} differs")
    return "; ".join(said)
