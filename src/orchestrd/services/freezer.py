"""
Carry a freeze and a thaw out: whatever order things happen in, what lives while the home is frozen stands still.

The journal says whether the home is frozen; this loop makes it true, at a daemon's start as at any later moment.  It looks
again and again while the home is frozen, so a run that was being started at that moment is stopped as well.
"""

from __future__ import annotations

import errno

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from orchestrd.domain import events as ev
from orchestrd.domain.state import State
from orchestrd.errors import StorageError
from orchestrd.logs import get_logger
from orchestrd.runner import freezing
from orchestrd.services.bus import Bus
from orchestrd.services.change import Change
from orchestrd.services.pulse import Pulse
from orchestrd.services.store import Store
from orchestrd.storage.home import Home
from orchestrd.storage.regular import read_regular
from orchestrd.storage.rundir import RunDir

log = get_logger(__name__)
LOOK_SECONDS = 0.4
"""Between two looks for what runs although the home is frozen."""
NOTE_SECONDS = 1.0
"""Between two looks for a note that everything was stopped while the daemon hung."""
EFFECT_SECONDS = 2.0
"""How long a command waits for its effect before it is answered."""
NAME_BYTES = 100
"""As much is read of who left the note."""


class Freezer:
    """
    Keeps the processes of all runs as the journal says.
    """

    def __init__(self, home: Home, store: Store, bus: Bus) -> None:
        self._home = home
        self._store = store
        self._bus = bus
        self._frozen: bool | None = None
        """What was carried out last; None before the first time."""
        self._turned = anyio.Event()

    async def run(self, pulse: Pulse, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Carry out what is recorded, from the start on, until cancelled.
        """
        await self._turn()
        task_status.started()
        while True:
            changes = self._bus.changes()
            await self._turn()
            await pulse.turn("freezer")
            with anyio.move_on_after(LOOK_SECONDS if self._frozen else NOTE_SECONDS):
                while self._wanted is self._frozen:
                    await changes.wait()
                    changes = self._bus.changes()

    async def carried_out(self, *, frozen: bool) -> bool:
        """
        Wait until it is so that all stands still, or goes on; False when that takes too long.
        """
        with anyio.move_on_after(EFFECT_SECONDS):
            while self._frozen is not frozen:
                await self._turned.wait()
            return True
        return False

    async def stop_all(self) -> bool:
        """
        Stop every tree, whatever is recorded; False when something still runs.
        """
        return await anyio.to_thread.run_sync(freezing.freeze, self._home.logs, self._live())

    async def let_all_go(self) -> None:
        """
        Let every tree go on, whatever stopped it, but those whose task was cancelled meanwhile.
        """
        live, condemned = self._live(cancelled=False), self._live(cancelled=True)
        await anyio.to_thread.run_sync(freezing.thaw, self._home.logs, live, condemned)

    @property
    def _wanted(self) -> bool:
        return self._store.state.home().frozen

    def _live(self, *, cancelled: bool | None = None) -> list[RunDir]:
        """
        The runs that are open, or of them those that were, or were not, *cancelled*.
        """
        state = self._store.state
        live = (run for day in state.active_days() for run in state.runs(day=day) if run.open)
        return [RunDir(self._home.run_dir(run.key)) for run in live if cancelled in (None, run.cancelled)]

    async def _turn(self) -> None:
        if not await self._take_note():
            # What was stopped stays so until that can be recorded.
            return
        wanted = self._wanted
        if not wanted and self._frozen is not False:
            # At a start, too: the daemon before may have died between the record and the deed.
            await self.let_all_go()
        if wanted:
            for run in self._live(cancelled=True):
                # Its shim was told to; but somebody may have stopped that, and a thaw would let the agent go on.
                await anyio.to_thread.run_sync(freezing.fell, run)
        if wanted and not (self._frozen and await anyio.to_thread.run_sync(freezing.at_rest, self._home.logs)):
            whole = await self.stop_all()
            if not whole:
                log.warning("freeze.incomplete")
        if wanted is not (self._frozen or False):
            log.info("home.frozen" if wanted else "home.thawed")
        self._frozen = wanted
        turned, self._turned = self._turned, anyio.Event()
        turned.set()

    async def _take_note(self) -> bool:
        """
        Record what somebody did while this daemon, or the one before, hung; False when there is a note and that fails.
        """
        try:
            by = read_regular(self._home.freeze_note, NAME_BYTES).decode("utf-8", "replace").strip()
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ELOOP):
                return False
            # No file, whoever put it there: it asks for a standstill all the same.
            by = "unknown"

        def decide(state: State) -> Change[None]:
            return Change(None, *([] if state.home().frozen else [ev.HomeFrozen(by=by)]))

        try:
            await self._store.do(decide)
            self._home.freeze_note.unlink(missing_ok=True)
        except (StorageError, OSError) as error:
            log.warning("freeze.unrecorded", error=str(error))
            return False
        return True
