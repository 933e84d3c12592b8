"""
Why a task is not moving, in words: one true line for every state.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from orchestrd.domain import ceiling
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import Cause, Isolation, Outcome, TaskState
from orchestrd.domain.rows import QuestionRow, QuestionState, RunPhase, RunRow, TaskRow
from orchestrd.domain.schedule import Decision, not_before, view
from orchestrd.domain.state import State
from orchestrd.domain.wallclock import moment

KEEPING = "its agent has ended, and its work is being kept"
"""What is told, in the place of what an agent does, of a run whose agent is gone and whose end is not recorded yet."""


def brief(
    row: TaskRow,
    decision: Decision,
    questions: Sequence[QuestionRow],
    run: RunRow | None = None,
    *,
    hitch: str = "",
    curbed: str | None = None,
) -> tuple[TaskState, str]:
    """
    The state to show and the reason in short, as a list of tasks has room for; *questions* are the open ones, *run* the
    newest, *hitch* what keeps an answer from being taken, or empty, *curbed* what `curbed` says of the run.
    """
    shown, reason = view(row, decision)
    if run is not None and _ends(row, run):
        # No answer reaches it any more.
        return shown, f"being ended: {run.stopping_reason}"
    if questions:
        return shown, "; ".join(part for part in (hitch, f"asks: {questions[0].text}") if part)
    if run is not None and run.frozen_since is not None:
        return shown, "frozen; orchctl thaw"
    if run is not None and run.curtailed and row.state is TaskState.RUNNING:
        # What it was told last may be over: where money was added since, its next call is granted.
        limit = run.curtailed if curbed is None else curbed
        if limit:
            return shown, f"no further tool call, for {limit}"
    return shown, reason


def curbed(state: State, run: RunRow | None, limits: Limits | None) -> str | None:
    """
    What of *limits* on money keeps *run* from another tool call, in words: empty when nothing does, None when they are not known.
    """
    if run is None or limits is None:
        return None
    found = ceiling.curb(state, run, limits) if run.open else None
    return found[1] if found is not None else ""


def line(
    state: State,
    row: TaskRow,
    decision: Decision,
    *,
    now: float,
    zone: tzinfo,
    activity: str = "",
    hitch: str = "",
    limits: Limits | None = None,
) -> tuple[TaskState, str]:
    """
    The state to show and the whole line, times in *zone*; *activity* is what the agent did last, or empty, *hitch* what keeps
    an answer to it from being taken, or empty, *limits* are those that it is held to.
    """
    questions = [q for q in state.questions(task=row.key) if q.state is QuestionState.OPEN]
    run = state.run(row.run) if row.run else None
    shown, reason = brief(row, decision, questions, run, hitch=hitch, curbed=curbed(state, run, limits))

    def at(seconds: float) -> str:
        return moment(seconds, now, zone)

    if activity == KEEPING and run is not None:
        ending = f" ({run.stopping_reason})" if run.phase is RunPhase.STOPPING else ""
        words = f"{shown} since {at(run.started_at)}, attempt {run.attempt}: {KEEPING}{ending}"
        words += f"; give that up with: orchctl cancel {row.key}"
    elif row.state.alive and run is not None and _ends(row, run):
        words = f"{shown}, attempt {run.attempt}, {reason}"
    elif questions:
        more = f" ({len(questions)} questions)" if len(questions) > 1 else ""
        asked = f"{reason}{more}; answer with: orchctl answer {row.key} TEXT"
        words = f"{shown} since {at(questions[0].asked_at)}: {asked}"
        if run is not None and run.phase is RunPhase.STREAMING:
            # It asked by file, and its turn goes on.
            doing = activity or "at work"
            if run.frozen_since is not None:
                doing = f"frozen since {at(run.frozen_since)}; let all go on with: orchctl thaw"
            words = f"{shown} since {at(run.started_at)}, attempt {run.attempt}: {doing}; works on without an answer; {asked}"
        words += _curbed(state, run, limits)
    elif row.state.ended:
        words = _ended(row, run, reason, at(row.ended_at or row.changed_at))
    elif not row.state.alive:
        words = f"{shown}: {reason or 'about to start'}"
        wait = decision.waits.get(row.key)
        due = max(not_before(row, now), row.spec.start_at or 0.0)
        if wait is not None:
            words += f", not before {at(due)}" if due > now else ""
            words += "; only you can change that" if wait.stuck else ""
    elif run is None:
        words = f"{shown} since {at(row.changed_at)}"
    elif run.frozen_since is not None:
        words = f"{shown}, attempt {run.attempt}, frozen since {at(run.frozen_since)}; let all go on with: orchctl thaw"
    elif row.state is TaskState.CHECKING:
        names = ", ".join(check.name for check in row.spec.checks)
        words = f"checking since {at(row.changed_at)}, attempt {run.attempt}: {names}"
    else:
        doing = "being made ready" if run.phase is RunPhase.STARTING else activity or "at work"
        words = f"{shown} since {at(run.started_at)}, attempt {run.attempt}: {doing}{_curbed(state, run, limits)}"
    return shown, " ".join(words.split())


def _curbed(state: State, run: RunRow | None, limits: Limits | None) -> str:
    """
    What is to be known of a limit on money that keeps *run* from another tool call, and how the person raises it; empty when
    none does.
    """
    found = ceiling.curb(state, run, limits) if run is not None and run.open and limits is not None else None
    if run is None or found is None:
        return ""
    cause, reason = found
    what = f"; it gets no further tool call, for {reason}"
    if run.phase is RunPhase.WAITING:
        what = f"; {reason}, so once it is answered it ends, and waits for more money with your answer"
    day = state.day(run.task.partition("/")[0])
    if cause is Cause.DAY_LIMIT and day is not None and day.asked is not None:
        return f"{what}; give it more: orchctl answer {day.day}"
    return f"{what}; {ceiling.REOPEN}"


def _ended(row: TaskRow, run: RunRow | None, reason: str, when: str) -> str:
    again = f"once more: orchctl retry {row.key}"
    if row.state is TaskState.CANCELLED:
        lost = ""
        if run is not None and run.base and run.result is None:
            lost = f"; its work was not kept: its tree may still be at {run.tree}"
        return f"{reason or row.state} at {when}{lost}; {again}"
    if row.state is TaskState.FAILED:
        kind = "" if row.outcome in (None, Outcome.FAILED) else str(row.outcome).replace("_", " ")
        return f"failed at {when}: {': '.join(part for part in (kind, reason) if part)}; {again}"
    count = max(run.file_count, len(run.files)) if run else 0
    words = f"succeeded at {when}, attempt {row.attempts}, {count} file{'' if count == 1 else 's'} changed"
    if row.spec.isolation is Isolation.IN_PLACE:
        return f"{words} in place"
    if row.applied_at is not None:
        return f"{words}, applied"
    return f"{words}; take it over: orchctl apply {row.key}" if count else words


def _ends(row: TaskRow, run: RunRow) -> bool:
    """
    True while the task's *run* is being ended; what its agent has left behind may still be checked all the same.
    """
    return run.phase is RunPhase.STOPPING and (run.cancelled or not (run.leaves and row.state is TaskState.CHECKING))
