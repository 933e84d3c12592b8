"""
The processes of one world, found by what they were started with; no other process is ever touched.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

FoundT = TypeVar("FoundT")


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


def of_runs(root: Path, mark: str = "ORCHESTRD_RUN_DIR") -> dict[int, str]:
    """
    Every process of the runs of this world with its state (proc(5)): those that carry a run's mark.  One whose first thread
    sleeps in the kernel (D, as a parent in vfork(2) does while its child is stopped) counts as stopped (T) when it was told to
    and no thread of it runs.
    """
    wanted = f"{mark}={root}/".encode()
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if any(value.startswith(wanted) for value in (entry / "environ").read_bytes().split(b"\0")):
                state = _state(entry)
                if state == "D" and (all_ := {_state(thread) for thread in (entry / "task").iterdir()}) <= set("DTZ"):
                    state = "T" if "T" in all_ or _pending(int(entry.name), signal.SIGSTOP) else state
                found[int(entry.name)] = state
        except OSError:
            continue
    return found


def until(test: Callable[[], FoundT], *, timeout: float = 30.0) -> FoundT:
    """
    The first true value of *test*: for what processes do, of which nobody sends word.  Raises `TimeoutError`.
    """
    end = time.monotonic() + timeout
    while not (found := test()):
        if time.monotonic() > end:
            raise TimeoutError(f"still not so after {timeout:.0f} s: {found!r}")
        time.sleep(0.01)
    return found


def alive(pid: int) -> bool:
    """
    True while the process runs; a zombie does not.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def told_to_end(pid: int) -> bool:
    """
    True when SIGTERM waits for the process, which blocks it: proc(5), ``ShdPnd``.
    """
    return _pending(pid, signal.SIGTERM)


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


def _state(entry: Path) -> str:
    return (entry / "stat").read_bytes().rpartition(b")")[2].split()[0].decode()


def _pending(pid: int, number: signal.Signals) -> bool:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == "ShdPnd":
            return bool(int(value, 16) & 1 << number - 1)
    return False
