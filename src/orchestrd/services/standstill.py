"""
A person's order that everything stand still, or go on: recorded, carried out, and answered when it is so.
"""

from __future__ import annotations

import anyio

from orchestrd.errors import StorageError
from orchestrd.protocol.api import Freeze, Frozen
from orchestrd.services.commands import Commands, live_runs
from orchestrd.services.freezer import Freezer
from orchestrd.services.store import Store


class Standstill:
    """
    Obeys one order after another, as they came: callers of a daemon that hung may all be heard at once.
    """

    def __init__(self, store: Store, commands: Commands, freezer: Freezer) -> None:
        self._store = store
        self._commands = commands
        self._freezer = freezer
        self._ordering = anyio.Lock()

    async def freeze(self, p: Freeze) -> Frozen:
        """
        Stop everything.  Raises `StorageError` when that could be done, and not recorded.
        """
        async with self._ordering:
            return await self._freeze(p)

    async def thaw(self, p: Freeze) -> Frozen:
        """
        Let everything go on.  Raises `StorageError` when it was recorded that all stands still, and this cannot be.
        """
        async with self._ordering:
            return await self._thaw(p)

    async def _freeze(self, p: Freeze) -> Frozen:
        # First the deed: a disk that is full, or worse, must not be in its way.
        await self._freezer.stop_all()
        try:
            frozen = await self._commands.freeze(p)
        except StorageError as error:
            raise StorageError(
                f"everything was stopped, but that could not be recorded: {error.message}",
                hint="It ends with this daemon, and time limits count on. Let all go on: orchctl thaw",
            ) from error
        if not self._store.state.home().frozen:
            # An order that was carried out before, and taken back since: a repeat changes nothing.
            await self._freezer.let_all_go()
            return Frozen(frozen=False)
        await self._freezer.carried_out(frozen=True)
        return frozen

    async def _thaw(self, p: Freeze) -> Frozen:
        loose = not self._store.state.home().frozen
        if loose:
            # Stopped when it could not be recorded.
            await self._freezer.let_all_go()
        try:
            thawed = await self._commands.thaw(p)
        except StorageError as error:
            if not loose:
                raise
            # Nothing is to be recorded but the answer.
            note = f"Everything goes on; that you asked for it could not be recorded: {error.message}."
            return Frozen(frozen=False, runs=live_runs(self._store.state), recorded=False, notes=[note])
        await self._freezer.carried_out(frozen=False)
        return thawed
