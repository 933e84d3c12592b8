"""
What an audit found, in the shape of the doctor's findings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from orchestrd.ancestry import about, run_name, run_of
from orchestrd.audit.finding import INVARIANTS, Finding
from orchestrd.audit.home import examine
from orchestrd.audit.picture import Picture
from orchestrd.audit.repair import Mended, repair
from orchestrd.clock import Clock
from orchestrd.locks import holders
from orchestrd.protocol import api


def deep(root: Path, environ: Mapping[str, str], *, clock: Clock, mend: bool = False) -> api.Doctor:
    """
    Look at every invariant of the home *root*; with *mend*, after mending what can be mended.

    Raises `ConfigError`; with *mend*, `AlreadyRunning` and `StorageError` too.
    """
    # As the daemon names it: processes are known by the paths that they were told.
    root = root.resolve()
    mended = repair(root, environ=environ, clock=clock) if mend else Mended()
    picture = Picture(root, environ)
    findings = [*mended.failed, *examine(picture, ledger={}, logs=(), clock=clock)]
    return api.Doctor(
        ok=all(found.status != "problem" for found in findings),
        checks=[*map(_check, findings), _daemon(picture)],
        repairs=[api.DoctorRepair(at=r.at, what=r.what, subject=r.subject, detail=r.detail) for r in mended.done],
    )


def _daemon(picture: Picture) -> api.DoctorCheck:
    """
    Who serves the home; or who has its lock and does not.
    """
    if picture.served_by is not None:
        return api.DoctorCheck(name="daemon", status="ok", detail=f"process {picture.served_by} serves this home")
    none = "none serves this home"
    others = [pid for pid in holders(picture.home.lock_file) if pid != os.getpid()]
    if not others:
        return api.DoctorCheck(name="daemon", status="ok", detail=none)
    who = ", ".join(about(pid) + (f" of the run {run_name(run)}" if (run := run_of(pid)) else "") for pid in others)
    return api.DoctorCheck(
        name="daemon",
        status="warning",
        detail=f"{none}, but its lock is held by {who}",
        hint="orchctl daemon start ends what is of a run of this home, and says what to do about another.",
    )


def _check(found: Finding) -> api.DoctorCheck:
    return api.DoctorCheck(
        name=f"{found.invariant} {INVARIANTS[found.invariant]}",
        status=found.status,
        detail=f"{found.subject}: {found.detail}" if found.subject else found.detail,
        hint=found.hint,
        subject=found.subject,
        mendable=found.mendable,
        looked=found.looked,
    )
