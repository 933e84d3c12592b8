"""
Do one thing while others go on beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc


@asynccontextmanager
async def beside() -> AsyncIterator[anyio.abc.TaskGroup]:
    """
    A task group whose tasks end with the block.  What the block raises comes out as it is: a task group by itself would wrap it.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        try:
            yield group
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
