"""
Take a home also where a process of one of its runs has the lock.

An agent, or what it started, may open the lock's file and lock it when a daemon dies.  It serves nobody: it is ended, as
anything else of an agent's would be that stands in the way.
"""

from __future__ import annotations

from orchestrd.errors import HeldByRun, StorageError
from orchestrd.logs import get_logger
from orchestrd.runner.sweep import end_silent
from orchestrd.storage.home import Home

log = get_logger(__name__)
TRIES = 3
"""Another process of the run may wait for the lock, and have it next."""


def take(home: Home, purpose: str = "") -> int:
    """
    Take the *home* as `Home.lock` does; who of its runs has the lock is ended.

    Raises `AlreadyRunning`, `StorageError`.
    """
    for _ in range(TRIES):
        try:
            return home.lock(purpose)
        except HeldByRun as error:
            try:
                ended = end_silent(error.pids, home.lock_file)
            except OSError as failed:
                raise StorageError(f"{error.message}; it cannot be ended now: {failed.strerror}") from failed
            log.warning("lock.freed", why=error.message, ended=ended)
    return home.lock(purpose)
