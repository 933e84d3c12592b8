"""
Runs of which there are files and of which the journal knows nothing: what comes of their tasks.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrd.domain import events as ev
from orchestrd.domain.model import Outcome, TaskState
from orchestrd.domain.state import State


def number_of(run: str) -> int:
    """
    Which of its task's runs a run by full name is.
    """
    return int(run.rpartition("/")[2])


def newest(runs: Iterable[str]) -> dict[str, str]:
    """
    Task to the newest of its *runs*.
    """
    return {run.rpartition("/")[0]: run for run in sorted(runs, key=number_of)}


def overtaken(state: State, runs: Iterable[str]) -> list[str]:
    """
    Those of *runs* that the journal does not know and that come after every run of their task that it knows: it lacks what came
    last.  Of one that lies before a later run it was decided that the task goes on all the same.
    """
    found = []
    for task, run in newest(run for run in runs if state.run(run) is None).items():
        row = state.task(task)
        if row is not None and number_of(run) > row.attempts:
            found.append(run)
    return found


def held_back(state: State, unknown: Iterable[str]) -> list[ev.TaskFailed | ev.TaskHeld]:
    """
    The facts by which no task is begun anew whose run is *unknown*: it may be done, or under way.
    """
    facts: list[ev.TaskFailed | ev.TaskHeld] = []
    for task, run in sorted(newest(unknown).items()):
        row = state.task(task)
        if row is None or row.state.ended or row.held:
            continue
        reason = f"the journal lost what became of its {_told(run)}: look at them before you retry it"
        if row.state is TaskState.QUEUED:
            facts.append(ev.TaskFailed(task=task, outcome=Outcome.ABANDONED, reason=reason))
        else:
            facts.append(ev.TaskHeld(task=task, reason=reason))
    return facts


def names(fact: ev.AnyEvent, run: str) -> bool:
    """
    True for a fact by which the task of *run* was held back for it.
    """
    return isinstance(fact, ev.TaskFailed | ev.TaskHeld) and _told(run) in fact.reason


def _told(run: str) -> str:
    return f"run {run}, whose files are still there"
