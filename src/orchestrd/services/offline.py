"""
Act in a home that no daemon serves: cancel, freeze, thaw.

Whoever acts holds the home's lock for the moment of recording, so it is the single writer: the same decisions record the same
facts.  The effect is carried out through the run directories, without the lock: a daemon that starts meanwhile reads what was
recorded and does the same beside us, and what is done twice to an agent that is to end does no harm.  Runs are not settled
here; the next daemon reads what each agent wrote to its end, so that what it cost is exact.

What a change makes necessary is recorded with it here, too, as far as the settings can be read.

Freezing does not depend on any of that: the trees are stopped first, and what cannot be recorded (a daemon that hangs holds
the lock, the journal is damaged) is left as a note for the next daemon, and told.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio

from orchestrd.address import holder
from orchestrd.clock import SystemClock, iso
from orchestrd.config import load_config
from orchestrd.domain import consequences
from orchestrd.domain import events as ev
from orchestrd.domain.state import State
from orchestrd.errors import AlreadyRunning, ConfigError, OrchestrdError, Refused, StorageError
from orchestrd.protocol import api
from orchestrd.runner import freezing
from orchestrd.runner.homelock import take
from orchestrd.runner.takedown import take_down
from orchestrd.services.bus import Bus
from orchestrd.services.commands import Commands
from orchestrd.services.settings import limits_from
from orchestrd.services.store import Store
from orchestrd.storage.home import Home, write_atomic
from orchestrd.storage.rundir import RunDir

ResultT = TypeVar("ResultT")


async def freeze(root: Path) -> api.Frozen:
    """
    Stop everything, then record it if that can be done.
    """
    home, clock = Home(root.resolve()), SystemClock()
    runs = freezing.shims(home.logs)
    whole = freezing.freeze(home.logs, runs)
    notes = [] if whole else ["Something still runs: look with `ps`, and freeze again."]
    try:
        frozen = await _recorded(home, "orchctl freeze", lambda store: Commands(store).freeze(api.Freeze()))
    except StorageError as error:
        why = error.message
        if isinstance(error, AlreadyRunning):
            why = _holding(home, error)
        noted = _leave_note(home)
        later = "The daemon records it when it answers again or starts."
        lost = "Nor could a note be left for the daemon: one that starts lets everything go on."
        notes += [f"Stopped, but not recorded: {why}.", later if noted else lost]
        names = [str(run.path.relative_to(home.logs)) for run in runs]
        return api.Frozen(frozen=True, since=iso(clock.wall()), runs=names, recorded=False, notes=notes)
    frozen.notes += notes
    frozen.runs = _living(home, frozen.runs)
    return frozen


def _living(home: Home, runs: list[str]) -> list[str]:
    """
    Those of *runs* of which something lives: one whose agent has ended is open until the next daemon settles it.
    """
    dirs = {run: RunDir(home.run_dir(run)) for run in runs}
    return [run for run, rundir in dirs.items() if rundir.shim_alive() or rundir.agent_alive()]


def _leave_note(home: Home) -> bool:
    """
    Tell the next daemon that everything was stopped; False when not even that can be done.
    """
    try:
        home.var.mkdir(mode=0o700, exist_ok=True)
        try:
            write_atomic(home.freeze_note, b"cli\n", durable=True)
        except OSError:
            # A full disk often has room for a name yet, and that there is one says it.
            home.freeze_note.touch(mode=0o600)
    except OSError:
        return False
    return True


async def thaw(root: Path) -> api.Frozen:
    """
    Record that everything goes on, and let it.

    Raises `Refused` when a daemon that hangs holds the home, unless it was frozen beside that daemon; `StorageError`.
    """
    home = Home(root.resolve())
    condemned: list[RunDir] = []

    async def act(store: Store) -> api.Frozen:
        thawed = await Commands(store).thaw(api.Freeze())
        condemned.extend(RunDir(home.run_dir(run.key)) for run in store.state.runs() if run.open and run.cancelled)
        return thawed

    try:
        thawed = await _recorded(home, "orchctl thaw", act)
    except AlreadyRunning as error:
        if not home.freeze_note.exists():
            raise _hangs(home, error, "nothing was thawed yet") from None
        note = f"Not recorded: {_holding(home, error)}.  What was stopped beside it goes on."
        thawed = api.Frozen(frozen=False, recorded=False, notes=[note])
    except StorageError as error:
        if not home.freeze_note.exists():
            raise
        # Stopped when it could not be recorded either.
        thawed = api.Frozen(
            frozen=False, recorded=False, notes=[f"Everything goes on, but not recorded: {error.message}."]
        )
    home.freeze_note.unlink(missing_ok=True)
    cancelled = {run.path for run in condemned}
    runs = [run for run in freezing.shims(home.logs) if run.path not in cancelled]
    freezing.thaw(home.logs, runs, condemned)
    thawed.runs = _living(home, thawed.runs) or [str(run.path.relative_to(home.logs)) for run in runs]
    return thawed


async def cancel(root: Path, names: api.TaskNames) -> api.Changed:
    """
    Record that the tasks are cancelled, and end their agents.

    Raises `NotFound`, `RequestError`, `Refused` when a daemon holds the home, `StorageError`.
    """
    home = Home(root.resolve())

    async def act(store: Store) -> tuple[api.Changed, list[str], bool]:
        changed = await Commands(store).cancel(names)
        return changed, _open_runs(store.state, changed.changed), store.state.home().frozen

    try:
        changed, runs, frozen = await _recorded(home, "orchctl cancel", act, follow=_consequences(home))
    except AlreadyRunning as error:
        raise _hangs(home, error, "nothing was cancelled yet") from None
    frozen = frozen or home.freeze_note.exists()
    async with anyio.create_task_group() as group:
        for run in runs:
            group.start_soon(_end, home, run, frozen, changed)
    if runs:
        changed.notes.append("What they did and cost is settled by the next daemon.")
    return changed


async def _end(home: Home, run: str, frozen: bool, changed: api.Changed) -> None:  # noqa: FBT001 - started as a task
    try:
        became = await take_down(RunDir(home.run_dir(run)), frozen=frozen, clock=SystemClock())
    except OSError as error:
        became = f"not ended: {error}"
    changed.notes.append(f"{run.rpartition('/')[0]}: {became}")


def _open_runs(state: State, tasks: list[str]) -> list[str]:
    rows = [state.task(key) for key in tasks]
    runs = [state.run(row.run) for row in rows if row is not None and row.run is not None]
    return [run.key for run in runs if run is not None and run.open]


def _consequences(home: Home) -> Callable[[State], Sequence[ev.AnyEvent]]:
    """
    The facts that a changed state makes necessary under the home's settings; none where these cannot be read, which is no reason
    not to act: the next daemon sees to it.
    """
    try:
        return partial(consequences.due, limits=limits_from(load_config(home.root)))
    except ConfigError:
        return _nothing


def _nothing(_: State) -> Sequence[ev.AnyEvent]:
    return ()


async def _recorded(
    home: Home,
    purpose: str,
    act: Callable[[Store], Awaitable[ResultT]],
    *,
    follow: Callable[[State], Sequence[ev.AnyEvent]] = _nothing,
) -> ResultT:
    """
    What *act* gives, done while this process is the home's only writer; *follow* as the `Store` takes it.

    Raises `AlreadyRunning`, `StorageError`, and what *act* raises.
    """
    home.create()
    lock = take(home, purpose)
    results: list[ResultT] = []
    failure: OrchestrdError | None = None
    try:
        store = Store(home.database, Bus(), SystemClock(), follow=follow)
        async with anyio.create_task_group() as group:
            await group.start(store.run)
            try:
                results.append(await act(store))
            except OrchestrdError as error:
                failure = error
            group.cancel_scope.cancel()
    finally:
        os.close(lock)
    if failure is not None:
        raise failure
    return results[0]


def _holding(home: Home, error: AlreadyRunning) -> str:
    """
    Who keeps us out: never a process that does not hold the home now.
    """
    pid = holder(home.lock_file)
    return (
        error.message if pid is None else f"process {pid} holds this home and does not answer: it is starting, or hangs"
    )


def _hangs(home: Home, error: AlreadyRunning, what: str) -> Refused:
    pid = holder(home.lock_file)
    if pid is None:
        return Refused(f"{error.message}; {what}", hint=error.hint)
    return Refused(
        f"{_holding(home, error)}; {what}",
        hint=f"When it answers again it may still do what it was asked.  If it does not: kill -9 {pid}, then the same again.",
    )
