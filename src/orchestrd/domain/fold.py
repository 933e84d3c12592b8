"""
``fold``: the only place where state changes.

``fold(state, record)`` reads the state and gives the rows that the fact changes; it changes nothing itself, and it does
not know who asks for a change or what happens because of it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.model import TaskState
from orchestrd.domain.rows import (
    DayRow,
    HomeRow,
    QuestionRow,
    QuestionState,
    Row,
    RunPhase,
    RunRow,
    Spend,
    TaskRow,
    ViolationRow,
)
from orchestrd.domain.state import State
from orchestrd.domain.transitions import QUESTION_TABLE, RUN_TABLE, TASK_TABLE, IllegalTransition, step

T = TaskState
P = RunPhase
Q = QuestionState
_ROW = msgspec.json.Decoder(Row)


def fold(state: State, record: ev.Record) -> list[Row]:
    """
    The rows that *record* changes, given *state*.

    Of a journal that was salvaged, only what is `effective` is folded.  Raises `IllegalTransition` when the fact cannot follow
    what is known.
    """
    handler = _FOLDS.get(type(record.event))
    return handler(state, record.event, record.at) if handler else []


def _task(state: State, key: str) -> TaskRow:
    row = state.task(key)
    if row is None:
        raise IllegalTransition(f"task {key} is not known")
    return row


def _run(state: State, key: str) -> RunRow:
    row = state.run(key)
    if row is None:
        raise IllegalTransition(f"run {key} is not known")
    return row


def _move_task(row: TaskRow, event: ev.Event, at: float, **changes: object) -> TaskRow:
    new = step(TASK_TABLE, row.state, event, f"task {row.key}")
    return replace(row, state=new, changed_at=at, **changes)


def _move_run(row: RunRow, event: ev.Event, **changes: object) -> RunRow:
    new = step(RUN_TABLE, row.phase, event, f"run {row.key}")
    return replace(row, phase=new, **changes)


def _home_frozen(state: State, e: ev.HomeFrozen, at: float) -> list[Row]:
    if state.home().frozen:
        raise IllegalTransition("the home is frozen already")
    return [HomeRow(frozen_since=at, frozen_by=e.by), *_clocks(state, at, frozen=True)]


def _home_thawed(state: State, _: ev.HomeThawed, at: float) -> list[Row]:
    if not state.home().frozen:
        raise IllegalTransition("the home is not frozen")
    return [HomeRow(), *_clocks(state, at, frozen=False)]


def _clocks(state: State, at: float, *, frozen: bool) -> list[Row]:
    """
    Every open run with its clock as it stands from *at* on.
    """
    live = [run for day in state.active_days() for run in state.runs(day=day) if run.open]
    return [replace(run, **_clock(run, at, waits=run.waiting_since is not None, frozen=frozen)) for run in live]


def _row_restored(_: State, e: ev.RowRestored, __: float) -> list[Row]:
    try:
        row: Row = _ROW.decode(e.body)
    except msgspec.DecodeError as error:
        raise IllegalTransition(f"the {e.kind} {e.key} cannot be restored: {error}") from None
    return [row]


def _day_submitted(state: State, e: ev.DaySubmitted, at: float) -> list[Row]:
    row = state.day(e.day)
    if row is None:
        return [DayRow(day=e.day, source=e.source, submitted_at=at, limit=e.limit)]
    return [replace(row, source=e.source, limit=e.limit)]


def _limit_warned(state: State, e: ev.LimitWarned, _: float) -> list[Row]:
    row = state.day(e.day)
    return [replace(row, warned_at=e.limit)] if row else []


def _limit_reached(state: State, e: ev.LimitReached, _: float) -> list[Row]:
    row = state.day(e.day)
    return [replace(row, warned_at=e.limit, stopped_at=e.limit)] if row else []


def _task_submitted(state: State, e: ev.TaskSubmitted, at: float) -> list[Row]:
    if state.task(e.task) is not None:
        raise IllegalTransition(f"task {e.task} was submitted before")
    return [TaskRow(spec=e.spec, state=T.QUEUED, submitted_at=at, changed_at=at)]


def _task_updated(state: State, e: ev.TaskUpdated, at: float) -> list[Row]:
    return [_move_task(_task(state, e.task), e, at, spec=e.spec)]


def _task_checking(state: State, e: ev.TaskChecking, at: float) -> list[Row]:
    return [_move_task(_task(state, e.task), e, at)]


def _task_succeeded(state: State, e: ev.TaskSucceeded, at: float) -> list[Row]:
    row = _task(state, e.task)
    outcome = _run(state, row.run).outcome if row.run else None
    return [_move_task(row, e, at, outcome=outcome, reason="", ended_at=at, session=None)]


def _task_failed(state: State, e: ev.TaskFailed, at: float) -> list[Row]:
    row = _task(state, e.task)
    changes = {"outcome": e.outcome, "reason": e.reason, "ended_at": at, "failures": row.failures + 1, "session": None}
    return [_move_task(row, e, at, **changes)]


def _task_requeued(state: State, e: ev.TaskRequeued, at: float) -> list[Row]:
    row = _task(state, e.task)
    changes = {"reason": e.reason, "not_before": e.not_before, "session": e.session}
    if e.by_person:
        changes |= {"failures": 0, "fresh_starts": 0, "held": ""}
    elif e.fresh:
        changes |= {"fresh_starts": row.fresh_starts + 1}
    else:
        changes |= {"failures": row.failures + 1}
    if row.state.ended:
        changes |= {"outcome": None, "ended_at": None, "applied_at": None}
    return [_move_task(row, e, at, **changes)]


def _task_cancelled(state: State, e: ev.TaskCancelled, at: float) -> list[Row]:
    row = _task(state, e.task)
    return [_move_task(row, e, at, reason=f"cancelled by {e.by}" if e.by else "cancelled", ended_at=at, session=None)]


def _task_held(state: State, e: ev.TaskHeld, _: float) -> list[Row]:
    return [replace(_task(state, e.task), held=e.reason)]


def _task_applied(state: State, e: ev.TaskApplied, at: float) -> list[Row]:
    return [_move_task(_task(state, e.task), e, at, applied_at=at)]


def _run_started(state: State, e: ev.RunStarted, at: float) -> list[Row]:
    task = _task(state, e.task)
    if state.run(e.run) is not None:
        raise IllegalTransition(f"run {e.run} was started before")
    run = RunRow(
        key=e.run,
        task=e.task,
        attempt=e.attempt,
        session=e.session,
        resumes=e.resumes,
        tree=e.tree,
        phase=P.STARTING,
        started_at=at,
        frozen_since=at if state.home().frozen else None,
    )
    started = task.started_at if task.started_at is not None else at
    moved = _move_task(task, e, at, attempts=e.attempt, run=e.run, reason="", session=None, started_at=started)
    return [run, moved]


def _run_prepared(state: State, e: ev.RunPrepared, _: float) -> list[Row]:
    return [replace(_run(state, e.run), base=e.base)]


def _run_initialised(state: State, e: ev.RunInitialised, _: float) -> list[Row]:
    return [_move_run(_run(state, e.run), e, model=e.model, cli_version=e.cli_version)]


def _run_stopping(state: State, e: ev.RunStopping, at: float) -> list[Row]:
    row = _run(state, e.run)
    if row.stopping is not None:
        # The first reason to stop stands; a cancel by the person is still remembered.
        return [_move_run(row, e, cancelled=row.cancelled or e.cancelled)]
    changes = {"stopping": e.outcome, "stopping_reason": e.reason, "cancelled": e.cancelled}
    changes |= _clock(row, at, waits=False, frozen=state.home().frozen)
    return [_move_run(row, e, **changes)]


def _run_exited(state: State, e: ev.RunExited, at: float) -> list[Row]:
    row = _run(state, e.run)
    changes = {
        name: getattr(e, name)
        for name in (
            "outcome",
            "reason",
            "exit_code",
            "signal",
            "result",
            "files",
            "file_count",
            "deliverables",
            "checks",
            "summary",
            "leftovers",
            "interrupted",
            "quarantined",
        )
    }
    return [_move_run(row, e, ended_at=at, **changes, **_clock(row, at, waits=False, frozen=False))]


def _run_swept(state: State, e: ev.RunSwept, _: float) -> list[Row]:
    row = _run(state, e.run)
    return [replace(row, leftovers=row.leftovers + e.processes)]


def _spend_seen(state: State, e: ev.SpendSeen, _: float) -> list[Row]:
    row = _run(state, e.run)
    models = {**row.unsettled, e.model: row.unsettled.get(e.model, Spend()).plus(e.usage, e.cost)}
    return [replace(row, unsettled=models)]


def _spend_settled(state: State, e: ev.SpendSettled, _: float) -> list[Row]:
    row = _run(state, e.run)
    settled = dict(row.settled)
    for spend in e.spends:
        settled[spend.model] = settled.get(spend.model, Spend()).plus(spend.usage, spend.cost)
    drift = row.drift + sum(s.cost for s in e.spends) - e.estimated
    return [replace(row, settled=settled, unsettled={}, drift=drift)]


def _turn_ended(state: State, e: ev.TurnEnded, _: float) -> list[Row]:
    row = _run(state, e.run)
    return [
        replace(
            row,
            turns_ended=row.turns_ended + 1,
            is_error=e.is_error,
            terminal_reason=e.terminal_reason,
            last_text=e.text,
        )
    ]


def _tool_called(state: State, e: ev.ToolCalled, _: float) -> list[Row]:
    row = _run(state, e.run)
    return [replace(row, tool_calls=row.tool_calls + 1)]


def _tool_returned(state: State, e: ev.ToolReturned, _: float) -> list[Row]:
    row = _run(state, e.run)
    return [replace(row, tool_errors=row.tool_errors + 1)] if e.is_error else []


def _retry_seen(state: State, e: ev.RetrySeen, _: float) -> list[Row]:
    row = _run(state, e.run)
    return [replace(row, retries=row.retries + 1)]


def _stream_damaged(state: State, e: ev.StreamDamaged, _: float) -> list[Row]:
    row = _run(state, e.run)
    return [replace(row, damaged=row.damaged + 1, cut=row.cut or e.cut)]


def _violation_seen(state: State, e: ev.ViolationSeen, at: float) -> list[Row]:
    row = _run(state, e.run)
    number = row.violations + 1
    seen = ViolationRow(
        key=f"{e.run}!{number}", run=e.run, at=at, tool=e.tool, rule=e.rule, target=e.target, reason=e.reason
    )
    return [replace(row, violations=number), seen]


def _question_asked(state: State, e: ev.QuestionAsked, at: float) -> list[Row]:
    run = _run(state, e.run)
    task = _task(state, run.task)
    if state.question(e.question) is not None:
        raise IllegalTransition(f"question {e.question} was asked before")
    row = QuestionRow(
        id=e.question,
        task=run.task,
        run=e.run,
        text=e.text,
        asked_at=at,
        header=e.header,
        options=e.options,
        multi=e.multi,
        request=e.request,
    )
    clock = _clock(run, at, waits=run.phase is not P.STOPPING, frozen=state.home().frozen)
    moved = _move_task(task, e, at, questions=max(task.questions, row.number)) if task.state.alive else task
    return [row, _move_run(run, e, **clock), moved]


def _question_answered(state: State, e: ev.QuestionAnswered, at: float) -> list[Row]:
    question = _question_step(state, e, answer=e.answer, answered_by=e.by, answered_at=at)
    return [question, *_stop_waiting(state, question, e, at)]


def _question_withdrawn(state: State, e: ev.QuestionWithdrawn, at: float) -> list[Row]:
    known = state.question(e.question)
    was_open = known is not None and known.state is Q.OPEN
    question = _question_step(state, e, closed_at=at)
    return [question, *(_stop_waiting(state, question, e, at) if was_open else [])]


def _answer_delivered(state: State, e: ev.AnswerDelivered, at: float) -> list[Row]:
    return [_question_step(state, e, delivered_at=at)]


def _question_step(state: State, e: ev.QuestionEvent, **changes: object) -> QuestionRow:
    row = state.question(e.question)
    if row is None:
        raise IllegalTransition(f"question {e.question} is not known")
    new = step(QUESTION_TABLE, row.state, e, f"question {row.id}")
    return replace(row, state=new, **changes)


def _stop_waiting(state: State, question: QuestionRow, e: ev.Event, at: float) -> list[Row]:
    """
    The run and task rows once no other question of the run is open.
    """
    if any(q.state is Q.OPEN and q.id != question.id for q in state.questions(run=question.run)):
        return []
    run, task = _run(state, question.run), _task(state, question.task)
    rows: list[Row] = []
    if run.open:
        rows.append(_move_run(run, e, **_clock(run, at, waits=False, frozen=state.home().frozen)))
    if task.state is T.WAITING and task.run == run.key:
        rows.append(_move_task(task, e, at))
    return rows


def _clock(run: RunRow, at: float, *, waits: bool, frozen: bool) -> dict[str, object]:
    """
    The run's clock from *at* on: it stands while the run *waits* for a person, else while the home is *frozen*, so that no
    second is counted under both.
    """
    frozen = frozen and not waits
    if waits == (run.waiting_since is not None) and frozen == (run.frozen_since is not None):
        return {}
    waited = 0.0 if run.waiting_since is None else max(0.0, at - run.waiting_since)
    stood = 0.0 if run.frozen_since is None else max(0.0, at - run.frozen_since)
    return {
        "waited": run.waited + waited,
        "waiting_since": at if waits else None,
        "frozen": run.frozen + stood,
        "frozen_since": at if frozen else None,
    }


_FOLDS: dict[type, Callable[..., list[Row]]] = {
    ev.HomeFrozen: _home_frozen,
    ev.HomeThawed: _home_thawed,
    ev.DaySubmitted: _day_submitted,
    ev.LimitWarned: _limit_warned,
    ev.LimitReached: _limit_reached,
    ev.TaskSubmitted: _task_submitted,
    ev.TaskUpdated: _task_updated,
    ev.TaskChecking: _task_checking,
    ev.TaskSucceeded: _task_succeeded,
    ev.TaskFailed: _task_failed,
    ev.TaskRequeued: _task_requeued,
    ev.TaskCancelled: _task_cancelled,
    ev.TaskApplied: _task_applied,
    ev.TaskHeld: _task_held,
    ev.RunStarted: _run_started,
    ev.RunPrepared: _run_prepared,
    ev.RunInitialised: _run_initialised,
    ev.RunStopping: _run_stopping,
    ev.RunExited: _run_exited,
    ev.RunSwept: _run_swept,
    ev.SpendSeen: _spend_seen,
    ev.SpendSettled: _spend_settled,
    ev.TurnEnded: _turn_ended,
    ev.ToolCalled: _tool_called,
    ev.ToolReturned: _tool_returned,
    ev.RetrySeen: _retry_seen,
    ev.StreamDamaged: _stream_damaged,
    ev.ViolationSeen: _violation_seen,
    ev.QuestionAsked: _question_asked,
    ev.QuestionAnswered: _question_answered,
    ev.QuestionWithdrawn: _question_withdrawn,
    ev.AnswerDelivered: _answer_delivered,
    ev.RowRestored: _row_restored,
}
