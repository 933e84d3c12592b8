"""
Start what may start, halt what must stop: wakes on every recorded change, at the next due time, and to beat.
"""

from __future__ import annotations

import uuid
from itertools import count
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from orchestrd.clock import Clock
from orchestrd.domain import consequences, schedule
from orchestrd.domain import events as ev
from orchestrd.domain.model import TaskState
from orchestrd.domain.state import State
from orchestrd.logs import get_logger
from orchestrd.services.admission import Admission
from orchestrd.services.bus import Bus
from orchestrd.services.change import Change
from orchestrd.services.preflight import Preflight
from orchestrd.services.pulse import Pulse
from orchestrd.services.runs import Runs
from orchestrd.services.settings import Settings
from orchestrd.services.store import Store
from orchestrd.storage.home import Home

log = get_logger(__name__)
LOOK_SECONDS = 5.0
"""Between two looks when nothing happens: so late at the most is noticed that the clock was set."""


class Scheduler:
    """
    Turns decisions of `domain.schedule` into runs.
    """

    def __init__(
        self,
        home: Home,
        store: Store,
        bus: Bus,
        settings: Settings,
        clock: Clock,
        runs: Runs,
        preflight: Preflight,
        project: Path,
    ) -> None:
        self._home = home
        self._store = store
        self._bus = bus
        self._settings = settings
        self._clock = clock
        self._runs = runs
        self._preflight = preflight
        self._project = project
        self._admission = Admission(home, settings, clock)
        self._short = ""

    @property
    def held(self) -> str | None:
        """
        Why nothing new starts, or None; the moment of a start in which the agent CLI is first looked at is no reason.
        """
        hold = self.hold(self._store.state)
        if hold is None:
            return self._short or None
        unknown = hold.reason == self._preflight.problem and not self._preflight.looked.is_set()
        return None if unknown else hold.reason

    def decide(self, state: State | None = None) -> schedule.Decision:
        """
        What would be done now in *state*, the recorded one by default, and why the rest waits.
        """
        state = self._store.state if state is None else state
        now = self._clock.wall()
        return schedule.decide(
            state,
            self._settings.rules,
            now,
            hold=self.hold(state),
            room=self._admission.room,
            zone=self._clock.zone(),
        )

    def hold(self, state: State) -> schedule.Wait | None:
        """
        Why nothing at all may start in *state*, or None.
        """
        frozen = schedule.frozen(state, self._clock.zone())
        if frozen is not None:
            return frozen
        if self._store.hindered is not None:
            return schedule.Wait(reason=self._store.hindered)
        if self._preflight.problem is not None:
            # Until the first look is over nothing is known, and nobody may conclude that nothing will happen.
            return schedule.Wait(reason=self._preflight.problem, stuck=self._preflight.looked.is_set())
        return None

    async def run(self, pulse: Pulse, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Schedule until cancelled.
        """
        # Whoever asks from now on is told what there is room for.
        await self._admission.look()
        task_status.started()
        await self._enforce()
        while True:
            await pulse.turn("scheduler")
            changes = self._bus.changes()
            decision = self.decide()
            if decision.starts or decision.short:
                await self._admission.look()
                decision = self.decide()
            if decision.short != self._short:
                self._short = decision.short
                log.info("room.changed", short=self._short)
                self._bus.publish([])
            for key in decision.starts:
                await self._start(key)
            if decision.starts:
                continue
            # Due times are of the wall clock, which may jump while this waits on another.
            look = min(LOOK_SECONDS, pulse.idle)
            due = look if decision.look_again is None else decision.look_again - self._clock.wall()
            with anyio.move_on_after(min(look, max(0.05, due))):
                await changes.wait()

    async def _enforce(self) -> None:
        """
        What the limits make necessary at the start, when they may be others than when it was last looked at: later changes
        bring it with them.
        """
        limits = self._settings.rules.limits
        if consequences.due(self._store.state, limits):
            await self._store.do(lambda state: Change(None, *consequences.due(state, limits)))

    async def _start(self, key: str) -> None:
        session = str(uuid.uuid4())
        taken = await anyio.to_thread.run_sync(self._home.taken_attempts, key)

        def decide(state: State) -> Change[str | None]:
            # The state may have moved since the decision: frozen, cancelled, or its limit reached.
            decision = self.decide(state)
            if key not in decision.starts:
                return Change(None)
            task = state.task(key)
            if task is None or task.state is not TaskState.QUEUED:
                return Change(None)
            # After a journal was salvaged, a directory may be there of a run that it does not know any more; and an agent may
            # have made one, to be found with what it likes.  Neither is used, and a number far off is no reason to go there.
            attempt = next(number for number in count(task.attempts + 1) if number not in taken)
            run = f"{key}/{attempt}"
            tree = self._project if task.spec.isolation == "in_place" else self._home.workspace(key) / "tree"
            started = ev.RunStarted(
                run=run,
                task=key,
                attempt=attempt,
                session=task.session or session,
                resumes=task.session is not None,
                tree=str(tree),
                reserved=decision.shares[key],
            )
            return Change(run, started)

        run = await self._store.do(decide)
        if run is not None:
            self._runs.begin(run)
