"""
What an audit found, in the shape of the doctor's findings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrd.audit.finding import INVARIANTS, Finding
from orchestrd.audit.home import examine
from orchestrd.audit.picture import Picture
from orchestrd.audit.repair import repair
from orchestrd.clock import Clock
from orchestrd.protocol import api


def deep(root: Path, environ: Mapping[str, str], *, clock: Clock, mend: bool = False) -> api.Doctor:
    """
    Look at every invariant of the home *root*; with *mend*, after mending what can be mended.

    Raises `ConfigError`; with *mend*, `AlreadyRunning` and `StorageError` too.
    """
    # As the daemon names it: processes are known by the paths that they were told.
    root = root.resolve()
    done = repair(root, environ=environ, clock=clock) if mend else []
    picture = Picture(root, environ)
    findings = examine(picture, ledger={}, logs=(), clock=clock)
    served = picture.served_by
    detail = "none serves this home" if served is None else f"process {served} serves this home"
    return api.Doctor(
        ok=all(found.status != "problem" for found in findings),
        checks=[*map(_check, findings), api.DoctorCheck(name="daemon", status="ok", detail=detail)],
        repairs=[api.DoctorRepair(at=r.at, what=r.what, subject=r.subject, detail=r.detail) for r in done],
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
