"""
What becomes of a loop that breaks.

A *core* loop (the writer, the runs, the scheduler, the socket) carries all others: when it breaks, the log names it once
and the daemon ends, because its start is its recovery.  A *side* loop looks at things or writes copies of what the journal
holds: it is started again, later each time, and everything else goes on.
"""

from __future__ import annotations

from typing import Any, Protocol

import anyio
from anyio.abc import TaskStatus

from orchestrd.clock import Clock
from orchestrd.errors import OrchestrdError, ServiceFailed
from orchestrd.logs import get_logger
from orchestrd.services.pulse import Pulse

log = get_logger(__name__)
FIRST_PAUSE = 1.0
"""Seconds before a broken side loop is started again; doubled each time, up to `LONGEST_PAUSE`."""
LONGEST_PAUSE = 60.0
"""A side loop that held so long is taken for sound again."""


class Loop(Protocol):
    """
    Runs until cancelled; tells *task_status* once it works.
    """

    async def __call__(self, *, task_status: TaskStatus[None]) -> None: ...


class Supervisor:
    """
    Runs loops by name.
    """

    def __init__(self, clock: Clock, pulse: Pulse) -> None:
        self._clock = clock
        self._pulse = pulse
        self._failed = False

    async def core(self, name: str, loop: Loop, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Run a loop that nothing can do without.

        Raises `ServiceFailed` when it breaks; errors of this program's own, which say what to do, as they are.
        """
        try:
            await loop(task_status=task_status)
        except Exception as error:
            if _known(error):
                raise
            # What breaks next breaks because of this one.
            if not self._failed:
                log.critical("service.failed", service=name, exc_info=True)
            self._failed = True
            raise ServiceFailed(f"the service {name} failed: {error!r}") from error

    async def side(self, name: str, loop: Loop, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Run a loop that is started again when it breaks; a start is not held up by one that does not come up.
        """
        started = _Started(task_status)
        pause = FIRST_PAUSE
        while True:
            began = self._clock.monotonic()
            try:
                await loop(task_status=started)
            except Exception:
                if self._clock.monotonic() - began > LONGEST_PAUSE:
                    pause = FIRST_PAUSE
                log.exception("service.broken", service=name, again_in=pause)
            else:
                return
            started.started()
            self._pulse.rest(name, pause)
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


class _Started(TaskStatus[None]):
    """
    Passes on the first word only: a loop that is started again says it again.
    """

    def __init__(self, status: TaskStatus[None]) -> None:
        self._status: TaskStatus[None] | None = status

    def started(self, value: Any = None) -> None:
        status, self._status = self._status, None
        if status is not None:
            status.started(value)


def _known(error: BaseException) -> bool:
    """
    True when *error* is this program's own and nothing else.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(map(_known, error.exceptions))
    return isinstance(error, OrchestrdError)
