"""
Read a growing file to its end, and on while its run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

POLL_SECONDS = 0.2
CHUNK = 256 * 1024


def chunks(path: Path, *, live: Callable[[], bool] | None = None) -> Iterator[bytes]:
    """
    The file's bytes; with *live*, also those to come, until *live* says that the run is over and all was read.

    Raises `OSError` when the file cannot be read; while the run is live, one that does not exist yet is waited for.
    """
    while live is not None and not path.exists() and live():
        time.sleep(POLL_SECONDS)
    with path.open("rb", buffering=0) as file:
        while True:
            # Asked before the last read: what was written up to the end of the run is read then.
            going_on = live is not None and live()
            grew = False
            while chunk := file.read(CHUNK):
                grew = True
                yield chunk
            if not going_on:
                return
            if not grew:
                time.sleep(POLL_SECONDS)
