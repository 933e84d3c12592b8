"""
Wait for room: what a full disk, or an apply that is half done, holds up is done again when that is over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from orchestrd.errors import OrchestrdError, Unsettled
from orchestrd.logs import get_logger
from orchestrd.storage.shortage import is_full

log = get_logger(__name__)
LOOK_SECONDS = 1.0
DoneT = TypeVar("DoneT")


async def when_room(
    act: Callable[[], Awaitable[DoneT]], *, what: str, give_up: Callable[[], bool] = lambda: False
) -> DoneT:
    """
    What *act* gives, done again every second for as long as it fails for want of room, or because the project is between
    two states, unless it is time to *give_up*; *what* names it in the log.

    Raises what *act* raises.
    """
    told = False
    while True:
        try:
            return await act()
        except (OrchestrdError, OSError) as error:
            if not (is_full(error) or isinstance(error, Unsettled)) or give_up():
                raise
            if not told:
                log.warning("disk.full" if is_full(error) else "project.unsettled", waits=what, error=str(error))
                told = True
        await anyio.sleep(LOOK_SECONDS)
