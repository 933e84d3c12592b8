"""
I6: never two shims for a run, and nothing lives of a run that is settled; what says how a run began and ended is there.
"""

from __future__ import annotations

from pathlib import Path

from orchestrd.audit.census import marked, name_of, outliving, shims
from orchestrd.audit.finding import Notes
from orchestrd.audit.picture import Picture
from orchestrd.clock import Clock
from orchestrd.domain.rows import RunRow
from orchestrd.domain.unknown import overtaken
from orchestrd.runner.liveness import Finding, look
from orchestrd.runner.sweep import heirs

DYING_SECONDS = 2.0
"""How long a process that should not be there may take to be gone: a shim that finds another one, an agent that was killed."""
LOOK_SECONDS = 0.1
REPAIR = "`orchctl doctor --deep --repair` ends it"


def check_processes(picture: Picture, clock: Clock) -> Notes:
    """
    I6, with the locks of every run held against its row.
    """
    notes = Notes("I6")
    rows = {run.key: run for run in picture.runs}
    living, parents = marked(picture.home), shims(picture.home)
    notes.count("runs", len(rows))
    notes.count("processes", sum(map(len, (*living.values(), *parents.values()))))
    if not rows.keys() >= living.keys() | parents.keys():
        begun = picture.begun_since()
        living = {run: pids for run, pids in living.items() if run not in begun}
        parents = {run: pids for run, pids in parents.items() if run not in begun}
    told = _check_leftovers(picture, rows, living, parents, notes, clock)
    for run, several in parents.items():
        if run in rows and rows[run].open and len(several) > 1:
            left = _lasting(picture, run, several, clock)
            if len(left) > 1:
                pids = " and ".join(map(str, sorted(left)))
                hint = "Cancel the task: two agents may be working in its tree."
                notes.problem(run, f"it has {len(left)} shims: processes {pids}", hint=hint)
    for row in rows.values():
        _check_records(picture, row, notes)
        _check_locks(picture, row, notes, told=row.key in told)
    return notes


def _lasting(picture: Picture, run: str, several: set[int], clock: Clock) -> set[int]:
    """
    Those of *several* shims that stay: one that finds the lock taken leaves at once, and an agent looks like its shim for
    the moment before it becomes another program.
    """
    end = clock.monotonic() + DYING_SECONDS
    while len(several) > 1 and clock.monotonic() < end:
        several = outliving(several, LOOK_SECONDS, clock) & shims(picture.home).get(run, set())
    return several


def _check_leftovers(
    picture: Picture,
    rows: dict[str, RunRow],
    living: dict[str, set[int]],
    parents: dict[str, set[int]],
    notes: Notes,
    clock: Clock,
) -> set[str]:
    """
    What lives of runs that are settled, or not known; gives these runs.
    """
    found: dict[int, str] = {}
    for processes in (living, parents):
        for run, pids in processes.items():
            if run not in rows or not rows[run].open:
                found |= dict.fromkeys(pids, run)
    left = outliving(found, DYING_SECONDS, clock)
    for pid in sorted(left):
        run = found[pid]
        what = "was settled" if run in rows else "is not known"
        detail = f"process {pid} ({name_of(pid)}) lives, and the run {what}"
        if run in rows:
            notes.problem(run, detail, hint=f"{REPAIR}; by hand: kill {pid}", mendable=True)
        elif (picture.ledger.salvaged or overtaken(picture.state, [run])) and picture.rundir(run).spec.exists():
            # Nobody ends it: what it works on may be all that is left of the run.
            known = picture.state.task(run.rpartition("/")[0]) is not None
            ends = "orchctl retry the task" if known else "submit its day again"
            notes.warning(run, detail, hint=f"Look at its files, then {ends}: the task's next run ends it")
        else:
            notes.problem(run, detail, hint=f"Look what it is, then: kill {pid}")
    return {found[pid] for pid in left}


def _check_records(picture: Picture, run: RunRow, notes: Notes) -> None:
    """
    The run's spec while it is open, and the record of its end when there was one.
    """
    rundir = picture.rundir(run.key)
    if run.open and rundir.started() and rundir.read_spec() is None:
        hint = "No daemon can take its agent up as it was: orchctl cancel the task, then retry it."
        detail = f"spec.json, which says what its agent was started with, {_state_of(rundir.spec, 'spec')}"
        notes.warning(run.key, detail, hint=hint)
    recorded = run.exit_code is not None or run.signal is not None
    if not run.open and rundir.exit_record() is None and (rundir.exit.exists() or (recorded and rundir.path.exists())):
        hint = "How its agent ended is in the journal, where it counts; the file is not read any more."
        detail = f"exit.json, its shim's record of the end, {_state_of(rundir.exit, 'record')}"
        notes.warning(run.key, detail, hint=hint)


def _state_of(path: Path, what: str) -> str:
    return f"holds no {what}" if path.exists() else "is gone"


def _check_locks(picture: Picture, run: RunRow, notes: Notes, *, told: bool) -> None:
    rundir = picture.rundir(run.key)
    if not rundir.path.exists():
        return
    if run.open:
        if (
            picture.served_by is None
            and rundir.spec.exists()
            and rundir.started()
            and look(rundir) is Finding.ABANDONED
        ):
            detail = "it is open, but neither lives nor has a record of its end"
            notes.warning(run.key, detail, hint="The next daemon settles it as abandoned, and tries again by policy.")
        return
    held = [
        lock.name
        for lock, taken in ((rundir.shim_lock, rundir.shim_alive()), (rundir.agent_lock, rundir.agent_alive()))
        if taken
    ]
    if held and not told:
        left = heirs(rundir)
        pids = ", ".join(f"{pid} ({name})" for pid, name in left.items()) or "nobody of this run"
        detail = f"the run was settled, and {' and '.join(held)} is held, by {pids}"
        hint = REPAIR if left else f"See who it is: fuser {rundir.path / held[0]}"
        notes.problem(run.key, detail, hint=hint, mendable=bool(left))
