"""
SIGTERM and SIGINT: the first drains the daemon, the second ends it at once; heard also while the event loop hangs.  Before
there is anything to drain the first ends it, too, and as a success.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import anyio
from anyio.abc import TaskStatus

from orchestrd.logs import get_logger

log = get_logger(__name__)
_ENDS = (signal.SIGTERM, signal.SIGINT)


def heed() -> None:
    """
    Be ended by the signals as any program is, also by one that came while they were held back.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)


def leave_at_once() -> None:
    """
    From now on, until `watch` listens, leave at the first signal, and by one that came while they were held back: nothing runs yet
    that could be drained, and what a start writes before is whole at every moment.
    """
    for number in _ENDS:
        signal.signal(number, _leave)
    heed()


def _leave(_number: int, _frame: object) -> None:
    with suppress(OSError):
        # No stream: it may be in the middle of a line.
        os.write(2, b"orchestrd: told to leave while it was starting\n")
    os._exit(0)


async def watch(
    stop: Callable[[], None],
    bound: Callable[[], None],
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """
    Call *stop* at the first signal; the second ends the process by the kernel's hand.

    *bound* is called at the first one too, by a thread that needs no event loop: it sees to it that the end comes.
    """
    with anyio.open_signal_receiver(*_ENDS) as signals, _overheard(_Urgency(bound)):
        task_status.started()
        async for number in signals:
            log.info("daemon.draining", signal=number.name)
            break
    for number in _ENDS:
        signal.signal(number, signal.SIG_DFL)
    stop()


class _Urgency:
    """
    What a thread does about signals that the event loop may never hear of.
    """

    def __init__(self, bound: Callable[[], None]) -> None:
        self._bound = bound
        self._told = False

    def __call__(self, number: int) -> None:
        if number not in _ENDS:
            return
        if self._told:
            os.kill(os.getpid(), signal.SIGKILL)
        self._told = True
        self._bound()


@contextmanager
def _overheard(act: Callable[[int], None]) -> Iterator[None]:
    """
    Have a thread call *act* with the number of each signal that is caught, beside the event loop.

    A loop is told of them by a byte in a socket of its own (``signal.set_wakeup_fd``, written by the C handler whatever the
    interpreter does): on its way there it passes through here.
    """
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    loops = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        while data := ear.recv(64):
            if loops != -1:
                with suppress(OSError):
                    os.write(loops, data)
            for number in data:
                act(number)

    thread = threading.Thread(target=listen, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(loops, warn_on_full_buffer=False)
        mouth.close()
        thread.join()
        ear.close()
