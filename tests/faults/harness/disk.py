"""
A disk that fails when it is told to: ``disk.c``, compiled by the test and preloaded into the program.
"""

from __future__ import annotations

import atexit
import errno
import functools
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).with_name("disk.c")
_HEAD = struct.Struct("=cqII")


class Act(NamedTuple):
    """
    One act on a file: *kind* is W (write *data* at *offset*), S (sync), T (truncate to *offset*), R (rename to *data*) or U
    (delete).
    """

    kind: str
    path: str
    offset: int
    data: bytes


@functools.cache
def library() -> Path:
    """
    The compiled library.  Skips the test where there is no compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    built = folder / "disk.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", built, SOURCE], check=True, capture_output=True
    )
    return built


class Disk:
    """
    The disk under everything below *below*; *scratch* must lie elsewhere.
    """

    def __init__(self, below: Path, scratch: Path) -> None:
        self._below = below
        self._order = scratch / "disk.order"
        self._log = scratch / "disk.log"
        self.mend()

    @property
    def environ(self) -> dict[str, str]:
        """
        What the program is started with.
        """
        return {"LD_PRELOAD": str(library()), "DISK_BELOW": str(self._below), "DISK_ORDER": str(self._order)}

    @property
    def recording(self) -> dict[str, str]:
        """
        As *environ*, and every act is written down.
        """
        return {**self.environ, "DISK_LOG": str(self._log)}

    def fill(self, error: int = errno.ENOSPC) -> None:
        """
        From now on there is no room.
        """
        self._tell(f"full {error}\n")

    def fail(self, kind: str, suffix: str, nth: int = 1, error: int = errno.EIO) -> None:
        """
        From the *nth* call on, each ``write`` or ``sync`` of a file whose path ends so fails.
        """
        self._tell(f"fail {kind} {suffix} {nth} {error}\n")

    def mend(self) -> None:
        """
        All is well again.
        """
        self._tell("well\n")

    def _tell(self, line: str) -> None:
        new = self._order.with_name("disk.order.new")
        new.write_text(line, encoding="ascii")
        new.replace(self._order)

    def acts(self) -> Iterator[Act]:
        """
        What was done, in order.
        """
        data = self._log.read_bytes() if self._log.exists() else b""
        at = 0
        while at < len(data):
            kind, offset, path, size = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            name = data[at : at + path].decode()
            yield Act(kind.decode(), name, offset, data[at + path : at + path + size])
            at += path + size
