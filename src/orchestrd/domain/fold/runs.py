"""
What facts about the life of a run change.
"""

from __future__ import annotations

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.fold.base import Folds, clock, known_run, known_task, move_run, move_task
from orchestrd.domain.rows import Row, RunPhase, RunRow
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition


def _run_started(state: State, e: ev.RunStarted, at: float) -> list[Row]:
    task = known_task(state, e.task)
    if state.run(e.run) is not None:
        raise IllegalTransition(f"run {e.run} was started before")
    run = RunRow(
        key=e.run,
        task=e.task,
        attempt=e.attempt,
        session=e.session,
        resumes=e.resumes,
        tree=e.tree,
        reserved=e.reserved,
        block=state.home().blocks if state.home().block is not None else 0,
        phase=RunPhase.STARTING,
        started_at=at,
        frozen_since=at if state.home().frozen else None,
    )
    started = task.started_at if task.started_at is not None else at
    moved = move_task(task, e, at, attempts=e.attempt, run=e.run, reason="", session=None, started_at=started)
    return [run, moved]


def _run_prepared(state: State, e: ev.RunPrepared, _: float) -> list[Row]:
    return [replace(known_run(state, e.run), base=e.base)]


def _run_contained(state: State, e: ev.RunContained, _: float) -> list[Row]:
    return [replace(known_run(state, e.run), containment=e.containment)]


def _run_initialised(state: State, e: ev.RunInitialised, _: float) -> list[Row]:
    return [move_run(known_run(state, e.run), e, model=e.model, cli_version=e.cli_version)]


def _run_stopping(state: State, e: ev.RunStopping, at: float) -> list[Row]:
    row = known_run(state, e.run)
    if row.stopping is not None:
        # The first reason to stop stands; a cancel by the person is still remembered.
        return [move_run(row, e, cancelled=row.cancelled or e.cancelled)]
    changes: dict[str, object] = {
        "stopping": e.outcome,
        "stopping_reason": e.reason,
        "stopping_cause": e.cause,
        "cancelled": e.cancelled,
    }
    changes |= clock(row, at, waits=False, frozen=state.home().frozen)
    return [move_run(row, e, **changes)]


def _run_curtailed(state: State, e: ev.RunCurtailed, _: float) -> list[Row]:
    row = known_run(state, e.run)
    return [] if row.curtailed else [replace(row, curtailed=e.reason, curtailed_cause=e.cause)]


def _run_relieved(state: State, e: ev.RunRelieved, _: float) -> list[Row]:
    return [replace(known_run(state, e.run), curtailed="", curtailed_cause=None)]


def _run_leaving(state: State, e: ev.RunLeaving, _: float) -> list[Row]:
    return [replace(known_run(state, e.run), leaves=True)]


def _run_exited(state: State, e: ev.RunExited, at: float) -> list[Row]:
    row = known_run(state, e.run)
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
            "left_out",
            "deliverables",
            "checks",
            "summary",
            "leftovers",
            "interrupted",
            "quarantined",
            "work",
            "cause",
        )
    }
    return [move_run(row, e, ended_at=at, **changes, **clock(row, at, waits=False, frozen=False))]


def _run_swept(state: State, e: ev.RunSwept, _: float) -> list[Row]:
    row = known_run(state, e.run)
    return [replace(row, leftovers=row.leftovers + e.processes)]


FOLDS: Folds = {
    ev.RunStarted: _run_started,
    ev.RunPrepared: _run_prepared,
    ev.RunContained: _run_contained,
    ev.RunInitialised: _run_initialised,
    ev.RunStopping: _run_stopping,
    ev.RunCurtailed: _run_curtailed,
    ev.RunRelieved: _run_relieved,
    ev.RunLeaving: _run_leaving,
    ev.RunExited: _run_exited,
    ev.RunSwept: _run_swept,
}
