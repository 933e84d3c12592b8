"""
Wait for what another process writes to a file: inotify(7), so that nothing sleeps and nothing is missed.
"""

from __future__ import annotations

import ctypes
import os
import select
import subprocess
import time
from collections.abc import Callable
from io import RawIOBase
from pathlib import Path
from typing import TypeVar

_LIBC = ctypes.CDLL(None, use_errno=True)
_MODIFY, _CLOSE_WRITE, _MOVED_TO, _CREATE, _DELETE, _MOVED_FROM = 0x2, 0x8, 0x80, 0x100, 0x200, 0x40
_ALL = _MODIFY | _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE | _MOVED_FROM
FoundT = TypeVar("FoundT")


def wait_file(
    path: Path,
    test: Callable[[bytes], FoundT],
    *,
    timeout: float = 60.0,
    writer: subprocess.Popen[bytes] | None = None,
) -> FoundT:
    """
    The first true value of *test* on the bytes of *path* (empty while there is no such file); looks again after every
    change in the nearest folder above it that exists.

    Raises `TimeoutError` with what the file held last, also as soon as *writer* has ended without writing it.
    """
    end = time.monotonic() + timeout
    writing = os.fdopen(os.pidfd_open(writer.pid), "rb", buffering=0) if writer is not None else None
    try:
        return _wait(path, test, end, writing)
    except TimeoutError:
        held = path.read_bytes()[-2000:] if path.is_file() else b""
        raise TimeoutError(f"{path}: not as expected after {timeout:.0f} s; it holds {held!r}") from None
    finally:
        if writing is not None:
            writing.close()


def _wait(path: Path, test: Callable[[bytes], FoundT], end: float, writing: RawIOBase | None) -> FoundT:
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
                ready = select.select([watch, *([writing] if writing else [])], [], [], max(0.0, left))[0]
                if left <= 0 or not ready or watch not in ready:
                    raise TimeoutError
                watch.read(65536)


def ask_by_file(path: Path, text: str) -> None:
    """
    Leave a question as an agent without AskUserQuestion does: agents' files are private.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(f"{text}\n", encoding="utf-8")
