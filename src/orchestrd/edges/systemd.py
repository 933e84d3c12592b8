"""
The service manager: what it hands over at the start, and what it is told.

sd_notify(3), sd_listen_fds(3) and sd_watchdog_enabled(3) by hand: each is an environment variable and a few bytes.
Without a service manager everything here does nothing.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, MutableMapping

import anyio
from anyio.abc import TaskStatus

from orchestrd.errors import ConfigError
from orchestrd.logs import get_logger
from orchestrd.services.pulse import Pulse

log = get_logger(__name__)
FIRST_FD = 3
"""``SD_LISTEN_FDS_START``."""
STAGE_SECONDS = 120
"""How long one stage of the start may take before the manager gives up."""
STATUS_SECONDS = 1.0
"""Between two status lines: more often nobody can read them."""
_NAMES = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "INVOCATION_ID",
    "SYSTEMD_EXEC_PID",
)


class Service:
    """
    This process as a service.  *notify* is the manager's socket, *watchdog* the seconds within which it wants to hear of
    us, *listener* the socket it listened on for us, *managed* whether it started us itself.
    """

    def __init__(
        self,
        *,
        notify: str = "",
        watchdog: float | None = None,
        listener: socket.socket | None = None,
        managed: bool = False,
    ) -> None:
        self.watchdog = watchdog
        self.listener = listener
        self.managed = managed
        self._notify = notify
        self._unheard = False

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Service:
        """
        What *environ* says, taken out of it: no process started from here may believe that it was meant.

        Raises `ConfigError` when the socket handed over is not one this program may serve.
        """
        given = {name: environ.pop(name, "") for name in _NAMES}
        own = str(os.getpid())
        watchdog = None
        if given["WATCHDOG_USEC"].isdigit() and given["WATCHDOG_PID"] in ("", own):
            watchdog = int(given["WATCHDOG_USEC"]) / 1e6 or None
        listener = None
        if given["LISTEN_PID"] == own and given["LISTEN_FDS"] not in ("", "0"):
            if given["LISTEN_FDS"] != "1":
                raise ConfigError(
                    f"the service manager hands over {given['LISTEN_FDS']} sockets; orchestrd serves one",
                    hint="Write the units anew: orchctl service install",
                )
            listener = inherited(FIRST_FD)
        managed = given["SYSTEMD_EXEC_PID"] == own and bool(given["INVOCATION_ID"])
        return cls(notify=given["NOTIFY_SOCKET"], watchdog=watchdog, listener=listener, managed=managed)

    def starting(self, stage: str) -> None:
        """
        A stage of the start begins; the manager waits for it.
        """
        self._tell(f"STATUS=Starting: {stage}", f"EXTEND_TIMEOUT_USEC={STAGE_SECONDS * 1_000_000}")

    def ready(self) -> None:
        """
        Callers are served.
        """
        self._tell("READY=1")

    def stopping(self) -> None:
        """
        The end has begun.
        """
        self._tell("STOPPING=1", "STATUS=Stopping; agents go on")

    def failed(self, message: str) -> None:
        """
        Why this process ends.
        """
        self._tell(f"STATUS={message.splitlines()[0][:200]}")

    async def run(
        self,
        pulse: Pulse,
        status: Callable[[], str],
        changes: Callable[[], anyio.Event],
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """
        Vouch for the daemon while no loop of it is late, and show *status* after *changes*, until cancelled.
        """
        async with anyio.create_task_group() as group:
            if self.watchdog is not None:
                group.start_soon(self._vouch, pulse, self.watchdog)
            if self._notify:
                group.start_soon(self._show, status, changes)
            task_status.started()
            await anyio.sleep_forever()

    async def _vouch(self, pulse: Pulse, within: float) -> None:
        while True:
            if not pulse.late():
                self._tell("WATCHDOG=1")
            await anyio.sleep(within / 4)

    async def _show(self, status: Callable[[], str], changes: Callable[[], anyio.Event]) -> None:
        shown = ""
        while True:
            changed = changes()
            if (now := status()) != shown:
                self._tell(f"STATUS={now}")
                shown = now
            await changed.wait()
            await anyio.sleep(STATUS_SECONDS)

    def _tell(self, *lines: str) -> None:
        """
        One datagram to the manager; one that cannot take it hears the next.
        """
        if not self._notify:
            return
        # A leading @ stands for the NUL of an abstract address.
        address = f"\0{self._notify[1:]}" if self._notify.startswith("@") else self._notify
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as link:
                link.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            if not self._unheard:
                log.warning("service.unheard", error=error.strerror)
            self._unheard = True


def inherited(fd: int) -> socket.socket:
    """
    The listening socket that was handed over as *fd*, private to this process from now on.

    Raises `ConfigError` unless it is a Unix stream socket of this user that listens on a path.
    """
    try:
        os.set_inheritable(fd, False)
        listener = socket.socket(fileno=fd)
    except OSError as error:
        raise ConfigError(f"the socket handed over by the service manager cannot be used: {error.strerror}") from None
    try:
        name = listener.getsockname()
        good = (
            listener.family == socket.AF_UNIX
            and listener.type == socket.SOCK_STREAM
            and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
            and isinstance(name, str)
            and _ours(name)
        )
    except OSError:
        good = False
    if not good:
        listener.detach()
        raise ConfigError(
            "the socket handed over by the service manager is no listening Unix socket of this user",
            hint="Write the units anew: orchctl service install",
        )
    listener.setblocking(False)
    return listener


def _ours(name: str) -> bool:
    found = os.lstat(name)
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.getuid()
