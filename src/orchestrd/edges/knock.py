"""
Call our own socket: the only proof that callers are served.
"""

from __future__ import annotations

import anyio
from anyio.abc import TaskStatus

from orchestrd.edges.endpoint import Endpoint
from orchestrd.logs import get_logger
from orchestrd.services.pulse import Pulse

log = get_logger(__name__)
_CALL = b'{"jsonrpc":"2.0","id":0,"method":"nothing"}\n'
"""A method that does not exist: refused without touching anything, but by the whole way from accept to reply."""


async def knock(endpoint: Endpoint, pulse: Pulse, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """
    Beat for the loop ``rpc`` as often as the socket at *endpoint* answers, until cancelled.
    """
    await pulse.turn("rpc")
    task_status.started()
    while True:
        await anyio.sleep(pulse.idle)
        if await answers(endpoint, pulse.idle):
            await pulse.turn("rpc")


async def answers(endpoint: Endpoint, within: float) -> bool:
    """
    True when the socket at *endpoint* takes a call *within* seconds and says something to it, or hangs up on it because it is
    full.
    """
    try:
        with anyio.fail_after(within):
            async with await anyio.connect_unix(endpoint.path) as stream:
                try:
                    await stream.send(_CALL)
                    await stream.receive(65536)
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass
    except (OSError, TimeoutError) as error:
        if _refused(error):
            endpoint.doubt()
        log.warning("rpc.unanswered", error=repr(error))
        return False
    return True


def _refused(error: BaseException | None) -> bool:
    """
    True when nobody listens at the path.
    """
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__
    return False
