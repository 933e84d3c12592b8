"""
The processes that belong to a home's runs, as the operating system tells: proc(5).
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from orchestrd.clock import Clock
from orchestrd.runner.launch import SHIM
from orchestrd.runner.sweep import strays
from orchestrd.storage.home import Home

_SHIM = os.fsencode(f"/{SHIM.name}")


def marked(home: Home) -> dict[str, set[int]]:
    """
    Run (full name) → its living processes that carry its mark, whichever way the home's path was written for them.
    """
    found: dict[str, set[int]] = {}
    for logs in {home.logs, home.logs.resolve()}:
        for folder, pids in strays(logs).items():
            found.setdefault(str(folder.relative_to(logs)), set()).update(pids)
    return found


def shims(home: Home) -> dict[str, set[int]]:
    """
    Run (full name) → its living shims; the short-lived starter of a shim is none.
    """
    logs = home.logs.resolve()
    found: dict[str, set[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        try:
            folder = _shim_folder((entry / "cmdline").read_bytes().split(b"\0"))
            if folder is not None and os.getsid(pid) == pid and folder.resolve().is_relative_to(logs):
                found.setdefault(str(folder.resolve().relative_to(logs)), set()).add(pid)
        except OSError:
            continue  # gone meanwhile
    return found


def _shim_folder(words: list[bytes]) -> Path | None:
    """
    The run directory that a command line of a shim names: ``python -I -S …/shim.py RUNDIR``.
    """
    for at, word in enumerate(words[:-1]):
        if word.endswith(_SHIM) and b"-I" in words[:at]:
            return Path(os.fsdecode(words[at + 1])) if words[at + 1] else None
    return None


def name_of(pid: int) -> str:
    """
    The process's own name, empty when it is gone.
    """
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def outliving(pids: Iterable[int], seconds: float, clock: Clock) -> set[int]:
    """
    Those of *pids* that still live after *seconds*; returns as soon as none does.
    """
    poll = select.poll()
    handles: dict[int, int] = {}
    for pid in pids:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            poll.register(handle, select.POLLIN)
            handles[handle] = pid
    end = clock.monotonic() + seconds
    try:
        while handles and (left := end - clock.monotonic()) > 0:
            for handle, _ in poll.poll(left * 1000):
                poll.unregister(handle)
                os.close(handle)
                del handles[handle]
        return set(handles.values())
    finally:
        for handle in handles:
            os.close(handle)
