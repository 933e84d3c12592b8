"""
What facts from an agent's stream change.
"""

from __future__ import annotations

from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.fold.base import Folds, go_on, known_run, known_task, stand
from orchestrd.domain.rows import Row, ViolationRow, Window
from orchestrd.domain.state import State


def _turn_ended(state: State, e: ev.TurnEnded, at: float) -> list[Row]:
    row = known_run(state, e.run)
    row = replace(
        row,
        turns_ended=row.turns_ended + 1,
        is_error=e.is_error,
        terminal_reason=e.terminal_reason,
        last_text=e.text,
        rests=True,
    )
    questions = state.questions(run=row.key)
    if not questions:
        return [row]
    return list(stand(row, known_task(state, row.task), questions, at, frozen=state.home().frozen))


def _tool_called(state: State, e: ev.ToolCalled, at: float) -> list[Row]:
    row = known_run(state, e.run)
    row = replace(row, tool_calls=row.tool_calls + 1)
    # Beside a question that came by tool it may be another call of the same response.
    return go_on(state, row, at) if row.rests else [row]


def _tool_returned(state: State, e: ev.ToolReturned, _: float) -> list[Row]:
    row = known_run(state, e.run)
    return [replace(row, tool_errors=row.tool_errors + 1)] if e.is_error else []


def _retry_seen(state: State, e: ev.RetrySeen, _: float) -> list[Row]:
    row = known_run(state, e.run)
    return [replace(row, retries=row.retries + 1)]


def _rate_limit_seen(state: State, e: ev.RateLimitSeen, at: float) -> list[Row]:
    home = state.home()
    seen = Window(status=e.status, at=at, utilization=e.utilization, resets_at=e.resets_at, overage=e.overage)
    return [replace(home, windows={**home.windows, e.window: seen})]


def _stream_damaged(state: State, e: ev.StreamDamaged, _: float) -> list[Row]:
    row = known_run(state, e.run)
    return [replace(row, damaged=row.damaged + 1, cut=row.cut or e.cut)]


def _violation_seen(state: State, e: ev.ViolationSeen, at: float) -> list[Row]:
    row = known_run(state, e.run)
    number = row.violations + 1
    seen = ViolationRow(
        key=f"{e.run}!{number}",
        run=e.run,
        at=at,
        tool=e.tool,
        rule=e.rule,
        target=e.target,
        reason=e.reason,
        call=e.call,
        seen_by=e.seen_by,
        evidence=e.evidence,
        act=e.act,
        fixed=e.fixed,
    )
    row = replace(
        row,
        violations=number,
        confirmed=row.confirmed or (seen.key if e.confirmed else ""),
        unknown=row.unknown + (e.denied and not e.confirmed),
    )
    return [row, seen]


FOLDS: Folds = {
    ev.TurnEnded: _turn_ended,
    ev.ToolCalled: _tool_called,
    ev.ToolReturned: _tool_returned,
    ev.RetrySeen: _retry_seen,
    ev.RateLimitSeen: _rate_limit_seen,
    ev.StreamDamaged: _stream_damaged,
    ev.ViolationSeen: _violation_seen,
}
