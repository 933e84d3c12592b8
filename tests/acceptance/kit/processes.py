"""
The processes of one world, found by what they were started with; no other process is ever touched.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path


def belonging(root: Path) -> list[tuple[int, list[str]]]:
    """
    ``(pid, command line)`` of each living process whose environment or command line names *root*.
    """
    mark = os.fsencode(root) + b"/"
    found: list[tuple[int, list[str]]] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
            surroundings = (entry / "environ").read_bytes()
        except OSError:
            continue
        # A zombie has neither.
        if mark in words + b"\0" or any(mark in value + b"/" for value in surroundings.split(b"\0")):
            found.append((int(entry.name), words.decode("utf-8", "replace").split("\0")))
    return found


def alive(pid: int) -> bool:
    """
    True while the process runs; a zombie does not.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def parent(pid: int) -> int | None:
    """
    The process that it is a child of; None when it is gone.
    """
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return None


def end(root: Path) -> None:
    """
    SIGKILL for everything of this world, until nothing of it is left.
    """
    while found := belonging(root):
        for pid, _ in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
