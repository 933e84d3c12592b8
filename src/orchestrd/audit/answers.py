"""
I7: a question is answered at most once, and its answer was given to its agent exactly as it is recorded.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrd.audit.finding import Notes
from orchestrd.audit.picture import Picture
from orchestrd.domain import events as ev
from orchestrd.domain import permission
from orchestrd.domain.rows import QuestionRow, QuestionState, RunRow
from orchestrd.runner.voice import message_uuid
from orchestrd.storage.rundir import RunDir


class Said(msgspec.Struct, kw_only=True):
    """
    What was written for one agent: request id to the different answers to it, uuid to the different messages of it.
    """

    answers: dict[str, list[Any]] = {}
    messages: dict[str, list[Any]] = {}
    unreadable: int = 0


def check_answers(picture: Picture) -> Notes:
    """
    I7, of every question of every run.
    """
    notes = Notes("I7")
    notes.count("questions", len(picture.questions))
    _check_facts(picture, notes)
    by_run: dict[str, list[QuestionRow]] = {}
    for question in picture.questions:
        by_run.setdefault(question.run, []).append(question)
    for run in picture.runs:
        rundir = picture.rundir(run.key)
        if rundir.path.exists():
            said = _said(rundir)
            notes.count("answers", len(said.answers))
            _check_said(picture, run, said, notes)
            _check_questions(picture, run, by_run.get(run.key, []), said, notes)
    return notes


def _check_facts(picture: Picture, notes: Notes) -> None:
    seen: set[tuple[str, str]] = set()
    ended: dict[str, int] = {}
    runs: dict[str, str] = {}
    for record in picture.ledger.records:
        event = record.event
        if isinstance(event, ev.RunExited):
            ended.setdefault(event.run, record.seq)
        elif isinstance(event, ev.QuestionAsked):
            runs[event.question] = event.run
        elif isinstance(event, ev.QuestionAnswered | ev.AnswerDelivered):
            name = (event.question, event.name)
            if name in seen:
                what = "answered" if isinstance(event, ev.QuestionAnswered) else "delivered"
                notes.problem(event.question, f"{what} more than once, again in fact {record.seq}")
            seen.add(name)
            over = ended.get(runs.get(event.question, ""))
            if over is not None:
                notes.problem(event.question, f"fact {record.seq}: {event.name} after its run had ended (fact {over})")


def _said(rundir: RunDir) -> Said:
    said = Said()
    for line in rundir.sent().splitlines():
        try:
            entry = msgspec.json.decode(line)
            kind = entry["type"]
            if kind == "control_response":
                place = said.answers.setdefault(str(entry["response"]["request_id"]), [])
            elif kind == "user":
                place = said.messages.setdefault(str(entry["uuid"]), [])
            else:
                continue
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
            said.unreadable += 1
            continue
        # The CLI takes the first line of a request and ignores a repeat (Claude Code 2.1.330).
        if entry not in place:
            place.append(entry)
    return said


def _check_said(picture: Picture, run: RunRow, said: Said, notes: Notes) -> None:
    # A torn last line of a writer that died is cut off by the next one, and was not forwarded.
    torn = run.open or not picture.rundir(run.key).sent().endswith(b"\n")
    if said.unreadable > torn:
        notes.problem(run.key, f"{said.unreadable} lines that were written for its agent cannot be read")
    for request, entries in said.answers.items():
        if len(entries) > 1:
            notes.problem(run.key, f"request {request} was answered in {len(entries)} different ways")
    for uuid, entries in said.messages.items():
        if len(entries) > 1:
            notes.problem(run.key, f"message {uuid} was sent with {len(entries)} different texts")


def _check_questions(picture: Picture, run: RunRow, rows: list[QuestionRow], said: Said, notes: Notes) -> None:
    groups: dict[str, list[QuestionRow]] = {}
    for row in rows:
        if row.request is not None:
            groups.setdefault(row.request, []).append(row)
        else:
            _check_message(picture, run, row, said, notes)
    for request, group in groups.items():
        given = said.answers.get(request, [])
        if not given:
            for row in (r for r in group if r.state is QuestionState.DELIVERED):
                notes.problem(row.id, "recorded as delivered, and no answer was written for the agent")
            continue
        wanted: dict[str, str] = {}
        for row in group:
            # As the session composes it: two questions of one text share their answers.
            before = wanted.get(row.text)
            wanted[row.text] = (row.answer or "") if before is None else f"{before} / {row.answer}"
        unanswered = [row for row in group if row.answer is None]
        if unanswered:
            # Of a live run it may have been answered since the journal was read.
            if not run.open or picture.served_by is None:
                _tell_ungiven(picture, unanswered[0].id, run, notes)
        elif group[0].permit is not None:
            leave = "allow" if permission.ruling(group[0].answer or "").allows else "deny"
            if all(_leave(entry) != leave for entry in given):
                notes.problem(group[0].id, "the leave written for the agent is not what was answered")
        elif all(_answers(entry) != wanted for entry in given):
            notes.problem(group[0].id, "the answer written for the agent is not the one that is recorded")


def _tell_ungiven(picture: Picture, question: str, run: RunRow, notes: Notes) -> None:
    detail = "an answer was written for the agent that nobody gave"
    if picture.ledger.salvaged and run.open:
        notes.warning(
            question, detail, hint="It was lost with a damaged journal; the next daemon goes by what was written."
        )
    else:
        notes.problem(question, detail)


def _leave(entry: Any) -> Any:
    try:
        return entry["response"]["response"]["hookSpecificOutput"]["permissionDecision"]
    except (KeyError, TypeError):
        return None


def _answers(entry: Any) -> Any:
    try:
        return entry["response"]["response"]["hookSpecificOutput"]["updatedInput"]["answers"]
    except (KeyError, TypeError):
        return None


def _check_message(picture: Picture, run: RunRow, row: QuestionRow, said: Said, notes: Notes) -> None:
    given = said.messages.get(message_uuid(row.id), [])
    if not given:
        if row.state is QuestionState.DELIVERED:
            notes.problem(row.id, "recorded as delivered, and no message was written for the agent")
    elif row.answer is None:
        if not run.open or picture.served_by is None:
            _tell_ungiven(picture, row.id, run, notes)
    elif row.answer not in str(given[0].get("message", {}).get("content")):
        notes.problem(row.id, "the message written for the agent does not hold the answer that is recorded")
