"""
The socket's place in the file system: taken at the start, and taken again when it is gone.

A login session that ends takes ``$XDG_RUNTIME_DIR`` with it, and a tidy hand may remove any file; the daemon goes on working,
and whoever wants to speak to it must find it.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestrd.errors import StorageError
from orchestrd.storage.home import private_folder

CONNECT_SECONDS = 1.0


class Endpoint:
    """
    One listening socket and the path by which it is found.
    """

    def __init__(self, places: Callable[[], list[Path]], given: socket.socket | None = None) -> None:
        """
        *places* gives the paths it may have, the best first; *given* is one that listens already, on a path that somebody
        else looks after.
        """
        self._places = places
        self._given = given
        self._found: tuple[int, int] | None = None
        """Device and inode of what lies at the path since it is ours."""
        self.path = Path(os.fsdecode(given.getsockname())) if given is not None else places()[0]

    def open(self) -> socket.socket:
        """
        The socket to serve.  The home lock must be held: whatever lies at the path is a dead daemon's.

        Raises `StorageError` when the path cannot be bound.
        """
        if self._given is not None:
            # What lies there may be what an earlier daemon made in its place.
            self._found = _identity(self.path) if _answers(self.path) else None
            if self._found is not None:
                return self._given
            self._given.close()
            return self.again()
        return self._bind(self.path)

    def doubt(self) -> None:
        """
        Nobody listens at the path, whatever lies there.
        """
        self._found = None

    def lost(self) -> bool:
        """
        True when the path does not lead to the socket any more.
        """
        return self._found is None or _identity(self.path) != self._found

    def again(self) -> socket.socket:
        """
        A new socket, at the first place that can be had.

        Raises `StorageError` when there is none.
        """
        failure: StorageError | None = None
        for path in self._places():
            try:
                return self._bind(path)
            except StorageError as error:
                failure = failure or error
        assert failure is not None
        raise failure

    def close(self) -> None:
        """
        Remove the path, if it is ours to remove.
        """
        if self._given is None and not self.lost():
            with suppress(OSError):
                self.path.unlink()

    def _bind(self, path: Path) -> socket.socket:
        made = bind(path)
        self.path, self._given, self._found = path, None, _identity(path)
        return made


def _answers(path: Path) -> bool:
    """
    False when nobody listens there.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except TimeoutError:
            pass  # many wait there
        except OSError:
            return False
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def bind(path: Path) -> socket.socket:
    """
    A listening socket at *path*, private from its birth.

    Raises `StorageError` when something that is no socket of ours lies there.
    """
    private_folder(path.parent)
    try:
        found = path.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            raise StorageError(f"{path}: something that is no socket of this user lies there", hint="Remove it.")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise StorageError(f"{path}: cannot listen: {error.strerror}") from error
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener
