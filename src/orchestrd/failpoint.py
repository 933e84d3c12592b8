"""
Named places at which a test makes the program die, fail or hang.

A no-op unless ``ORCHESTRD_TESTING=1``.  Then ``ORCHESTRD_FAILPOINTS`` arms points, ``NAME=ACTION`` or ``NAME=ACTION@HIT``
(the first hit by default), separated by commas, and ``ORCHESTRD_FAILPOINT_LOG`` names a file that gets a line for each
point that is passed: its name and the process.  A crash test thus kills at a place, not at a moment: a seeded bug that
most random kills miss is caught by one kill between the two writes it swaps.

Standard library only, and importable by path: the shim, which knows nothing else of the package, has points too.
"""

from __future__ import annotations

import errno
import functools
import os
import signal
import threading

POINTS = (
    "home.locked.before_open",
    "recovery.rows_read",
    "recovery.before_adopt",
    "recovery.attached",
    "home.adopted.before_bind",
    "store.taken",
    "journal.begun",
    "journal.written.before_commit",
    "journal.committed",
    "store.committed.before_publish",
    "rpc.listening",
    "rpc.connected",
    "rpc.following",
    "rpc.synced.before_reply",
    "spawn.recorded.before_prepare",
    "spawn.prepared.before_record",
    "spawn.specified.before_exec",
    "spawn.executed",
    "shim.locked.before_spawn",
    "shim.spawned.before_record",
    "shim.forwarded",
    "shim.exit.before_rename",
    "shim.exit.renamed",
    "session.heard.before_record",
    "session.answer.before_write",
    "session.answer.mid_write",
    "session.spool.before_wake",
    "session.answer.written",
    "session.settled.before_record",
    "run.evidence.before_record",
    "snapshot.begun",
    "snapshot.taken.before_name",
    "snapshot.kept.before_record",
    "file.before_rename",
)
"""Every point at which a process may die, roughly in the order of a run's life."""
LOOPS = (
    "loop.store",
    "loop.freezer",
    "loop.preflight",
    "loop.runs",
    "loop.session",
    "loop.reports",
    "loop.questions",
    "loop.scheduler",
    "loop.snapshots",
    "loop.rpc",
)
"""Where a loop of the daemon goes round: points to hang it at."""
ACTIONS = ("kill", "hang", "stuck", "raise", "eio", "enospc")
"""
Die by SIGKILL; block the thread for ever; have the caller wait for ever, where it can (`failpoint` is true: the loops of
`services.pulse`); raise `RuntimeError`; raise `OSError` with EIO or ENOSPC.
"""
APPLYING = ("apply.noted", "apply.emptied", "apply.placed", "apply.landed", "apply.recorded")
"""Points that only an apply passes: planned, old files out, new ones in, all of it done, and recorded."""
RESTORING = ("restore.kept", "restore.removed", "restore.placed.before_record", "tree.proved", "tree.removed")
"""Points that only a restore passes, before, in the midst of and after its work, and the removal of a tree."""
VIOLATIONS = ("session.violation.recorded",)
"""Points that only a forbidden act passes: recorded, and neither denied nor its agent halted."""
REPAIRS = ("journal.migrated.before_commit", "journal.salvaged.before_swap", "journal.salvaged.mid_swap")
"""Points that only an old or a damaged journal passes."""
_KNOWN = frozenset(POINTS + LOOPS + APPLYING + RESTORING + VIOLATIONS + REPAIRS)
_counts: dict[str, int] = {}


def failpoint(name: str) -> bool:
    """
    Pass the point *name*: nothing, unless a test armed it.  True when the caller is to get stuck here.
    """
    return os.environ.get("ORCHESTRD_TESTING") == "1" and _pass(name)


@functools.cache
def armed(text: str) -> dict[str, tuple[str, int]]:
    """
    Point to its action and hit, from ``NAME=ACTION@HIT,…``.

    Raises `ValueError` for an unknown point or action: a fault test with a misspelt point must not pass.
    """
    found: dict[str, tuple[str, int]] = {}
    for entry in filter(None, text.replace(" ", "").split(",")):
        name, _, rest = entry.partition("=")
        action, _, hit = rest.partition("@")
        if name not in _KNOWN or action not in ACTIONS:
            raise ValueError(f"ORCHESTRD_FAILPOINTS: {entry!r} names no point or action")
        found[name] = (action, int(hit or 1))
    return found


def _pass(name: str) -> bool:
    if name not in _KNOWN:
        raise ValueError(f"{name!r} is no declared failpoint")
    _counts[name] = count = _counts.get(name, 0) + 1
    log = os.environ.get("ORCHESTRD_FAILPOINT_LOG")
    if log:
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(fd, f"{name} {os.getpid()}\n".encode())
        os.close(fd)
    action, hit = armed(os.environ.get("ORCHESTRD_FAILPOINTS", "")).get(name, ("", 0))
    return count == hit and _act(name, action)


def _act(name: str, action: str) -> bool:
    if action == "stuck":
        return True
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "hang":
        threading.Event().wait()
    elif action == "raise":
        raise RuntimeError(f"failpoint {name}")
    else:
        number = errno.EIO if action == "eio" else errno.ENOSPC
        raise OSError(number, os.strerror(number), f"failpoint {name}")
    return False
