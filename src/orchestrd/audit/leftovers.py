"""
Files that a write which was cut off left behind: only those that the program itself writes, where only it writes.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from orchestrd.audit.modes import walk
from orchestrd.audit.picture import Picture
from orchestrd.runner.watch import RECORD

CUT_OFF = "a write that was cut off before the file was in its place"
_PROBE = re.compile(r"\.room-(?P<pid>\d{1,9})-[0-9a-f]{8}")
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d{1,9})-[0-9a-f]{8}\.new")
_OF_RUN = ("exit.json.new", "process.json.new")
"""A shim's own, which has no name of another."""
_WRITTEN = {
    (): re.compile(r"freeze|canary\.json"),
    ("agent_status", "*"): re.compile(r".+\.json"),
    ("results",): re.compile(r".+-report\.(md|html|json)"),
    ("agent_logs", "*", "*"): re.compile(r"passwd"),
    ("agent_logs", "*", "*", "*"): re.compile(rf"spec\.json|work\.json|barred|{re.escape(RECORD)}"),
}
"""Folder in ``var/`` to the names of what is written there whole (`storage.home.write_atomic`)."""


def leftovers(picture: Picture) -> Iterator[tuple[Path, str]]:
    """
    Each that nobody writes any more, and what it is.  What lies with an open run, or one that the journal does not know, is
    left to whoever carries it.
    """
    home = picture.home
    for path, status in walk(home):
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_uid != os.getuid():
            continue
        if path.is_relative_to(home.logs) and _open(picture, path.parent):
            continue
        folder = path.parent.relative_to(home.var).parts
        probe, temporary = _PROBE.fullmatch(path.name), _TEMPORARY.fullmatch(path.name)
        if path.name in _OF_RUN and folder[:1] == ("agent_logs",) and len(folder) == 4:
            yield path, CUT_OFF
        elif probe is not None and not folder and not _lives(int(probe["pid"])):
            yield path, "it was written only to see whether there is room"
        elif temporary is not None and _ours(folder, temporary["name"]) and not _lives(int(temporary["pid"])):
            yield path, CUT_OFF


def _ours(folder: tuple[str, ...], name: str) -> bool:
    pattern = _WRITTEN.get((*folder[:1], *("*" for _ in folder[1:])))
    return pattern is not None and pattern.fullmatch(name) is not None


def _open(picture: Picture, folder: Path) -> bool:
    """
    True when a run of the *folder*, or of the task whose folder it is, may still write there.
    """
    if not picture.readable:
        return True
    of = str(folder.relative_to(picture.home.logs))
    runs = [run for run in picture.runs if of in (run.key, run.task)]
    return not runs or any(run.open or picture.rundir(run.key).shim_alive() for run in runs)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
