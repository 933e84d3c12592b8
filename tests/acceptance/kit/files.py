"""
Wait for what another process writes to a file: inotify(7), so that nothing sleeps and nothing is missed.
"""

from __future__ import annotations

import ctypes
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_LIBC = ctypes.CDLL(None, use_errno=True)
_MODIFY, _CLOSE_WRITE, _MOVED_TO, _CREATE, _DELETE, _MOVED_FROM = 0x2, 0x8, 0x80, 0x100, 0x200, 0x40
_ALL = _MODIFY | _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE | _MOVED_FROM
FoundT = TypeVar("FoundT")


def wait_file(path: Path, test: Callable[[bytes], FoundT], *, timeout: float = 60.0) -> FoundT:
    """
    The first true value of *test* on the bytes of *path* (empty while there is no such file); looks again after every
    change in the nearest folder above it that exists.

    Raises `TimeoutError` with what the file held last.
    """
    end = time.monotonic() + timeout
    while True:
        folder = next(above for above in path.parents if above.is_dir())
        watch = os.fdopen(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0)
        with watch:
            if _LIBC.inotify_add_watch(watch.fileno(), os.fsencode(folder), _ALL) < 0:
                continue  # the folder went away in between: look for the next one above
            while True:
                content = path.read_bytes() if path.is_file() else b""
                found = test(content)
                if found:
                    return found
                if folder != next(above for above in path.parents if above.is_dir()):
                    break
                left = end - time.monotonic()
                if left <= 0 or not select.select([watch], [], [], left)[0]:
                    raise TimeoutError(f"{path}: not as expected after {timeout:.0f} s; it holds {content[-2000:]!r}")
                watch.read(65536)
