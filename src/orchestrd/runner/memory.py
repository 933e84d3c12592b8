"""
How much memory there is for agents, and how much those of a run hold.

Everything here blocks, for some milliseconds at most: it reads ``/proc`` (proc(5)) and ``/sys/fs/cgroup``.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from orchestrd.runner.sweep import strays

PROC = Path("/proc")
UNLIMITED = 1 << 60
"""Bytes from which a limit is none: version 1 writes the largest page-aligned number for it."""


class Memory(NamedTuple):
    """
    Bytes in all, and bytes that could be had without swapping.
    """

    total: int
    available: int


class _Version(NamedTuple):
    """
    The names of a cgroup version's files, and of the file cache in its ``memory.stat``.
    """

    limits: tuple[str, ...]
    usage: str
    cache: tuple[str, ...]


# Kernel documentation, admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; `memory.high` slows its processes to a halt.
_V1 = _Version(("memory.limit_in_bytes",), "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
_V2 = _Version(("memory.max", "memory.high"), "memory.current", ("inactive_file", "active_file"))


def memory(proc: Path = PROC) -> Memory | None:
    """
    What the machine has, or this process's control group or one above it where that is less; None where the kernel does
    not say.
    """
    fields = _numbers(proc / "meminfo")
    total, available = fields.get("MemTotal"), fields.get("MemAvailable")
    if total is None or available is None:
        return None
    found = [Memory(total * 1024, available * 1024), *_groups(proc / "self")]
    return Memory(min(each.total for each in found), max(0, min(each.available for each in found)))


def held(logs: Path) -> dict[Path, int]:
    """
    Bytes that the processes of each run directory below *logs* hold for themselves; a run without processes is not named.

    That is their resident anonymous memory.  Their mapped files (most of an idle agent: the program itself) are shared
    between agents and count as available anyway; the proportional set size would be exact, but takes the kernel a walk
    through all page tables.  A process that dropped the mark from its environment is missed, which errs on the safe side:
    what it holds is no longer available, and still kept for its run.
    """
    return {folder: sum(map(_anonymous, pids)) for folder, pids in strays(logs).items()}


def _anonymous(pid: int) -> int:
    """
    Resident bytes of a process that no file stands behind: in ``statm`` (proc(5)) what is resident and not shared.
    """
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - for each process there is
            _, resident, shared, *_ = file.read().split()
    except OSError:
        return 0  # gone meanwhile
    return (int(resident) - int(shared)) * mmap.PAGESIZE


def _groups(process: Path) -> Iterator[Memory]:
    """
    What the control groups that *process* is in, up to the top that can be seen, leave it.
    """
    for top, own, version in _places(process):
        for folder in (own, *own.parents):
            if not folder.is_relative_to(top):
                break
            limits = [_number(folder / name) for name in version.limits]
            limit = min((found for found in limits if found is not None), default=UNLIMITED)
            usage = _number(folder / version.usage)
            if limit < UNLIMITED and usage is not None:
                cache = _numbers(folder / "memory.stat")
                # As in MemAvailable, file cache is there to be had.
                yield Memory(limit, limit - usage + sum(cache.get(name, 0) for name in version.cache))


def _places(process: Path) -> Iterator[tuple[Path, Path, _Version]]:
    """
    ``(mount point, own folder, version)`` of every hierarchy that may control memory.
    """
    own: dict[str, str] = {}
    for line in _lines(process / "cgroup"):
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    for line in _lines(process / "mountinfo"):
        mount, _, source = line.partition(" - ")
        root, point = (_unescaped(field) for field in mount.split()[3:5])
        kind, options = source.split()[0], source.split()[-1]
        controls = kind == "cgroup2" or (kind == "cgroup" and "memory" in options.split(","))
        group = Path(own.get("" if kind == "cgroup2" else "memory", ".."))
        if not controls or ".." in group.parts:
            continue  # or it lies above what can be seen from here (cgroup_namespaces(7))
        # In a container the mount shows a part of the tree only, while the path may count from its root.
        inside = group.relative_to(root if group.is_relative_to(root) else "/")
        yield Path(point), Path(point) / inside, _V2 if kind == "cgroup2" else _V1


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def _numbers(path: Path) -> dict[str, int]:
    """
    The fields of a file of ``Name: number unit`` or ``name number`` lines; nothing for a file that is gone.
    """
    split = (line.split() for line in _lines(path))
    return {words[0].rstrip(":"): int(words[1]) for words in split if len(words) > 1 and words[1].isdigit()}


def _number(path: Path) -> int | None:
    """
    The file's one number; None for none, and for ``max``.
    """
    words = [line.strip() for line in _lines(path)]
    return int(words[0]) if words and words[0].isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
