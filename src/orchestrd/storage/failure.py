"""
What SQLite and the system say when the journal fails, as one of our errors: damaged, no room, or broken.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from orchestrd.errors import DamagedJournal, DiskFull, JournalLocked, StorageError
from orchestrd.storage.shortage import is_full, no_room

REPAIR = "Nothing was changed. `orchctl doctor --deep --repair` keeps what is whole and says what is lost."
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)
"""The last one is said of file formats and tables that our statements do not fit."""
_SYNCING = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)
_PERHAPS = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


@contextmanager
def telling(path: Path, what: str) -> Iterator[None]:
    """
    Tell what goes wrong inside as a `StorageError` of the journal at *path*, which *what* ("cannot be read").
    """
    try:
        yield
    except (sqlite3.Error, OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise told(path, what, error) from error


def told(path: Path, what: str, error: Exception) -> StorageError:
    """
    *error* as `DamagedJournal`, `JournalLocked`, `DiskFull` or plain `StorageError`.
    """
    if is_damage(error):
        return DamagedJournal(f"{path}: the journal {what}: {error}", hint=REPAIR)
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        hint = f"A sqlite3 shell, say, or a backup: let it end (`fuser {path}` names it). Nothing was changed."
        return JournalLocked(f"{path}: the journal {what}: another program holds it", hint=hint)
    if _full(path, error):
        return DiskFull(f"{path}: the journal {what}: the disk is full", hint="Make room; nothing was changed.")
    return StorageError(f"{path}: the journal {what}: {error}")


def is_damage(error: Exception) -> bool:
    """
    True when *error* says that what was read is not what was written.
    """
    if isinstance(error, sqlite3.Error):
        code: int | None = getattr(error, "sqlite_errorcode", None)
        if code is None:
            # Said by Python's own module, of text that is no UTF-8.
            return isinstance(error, sqlite3.OperationalError)
        return code & 0xFF in _DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ
    return not isinstance(error, OSError)


def _full(path: Path, error: Exception) -> bool:
    if not isinstance(error, sqlite3.Error):
        return is_full(error)
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return True
    # SQLite calls a full quota, and want of room for its own files, an error like any other (os_unix.c).  After a
    # failed sync nothing is known of what was written before: that one is never a matter of room.
    return code & 0xFF in _PERHAPS and code not in _SYNCING and no_room(path.parent)
