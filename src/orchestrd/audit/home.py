"""
`check_home`: every invariant of one home.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrd.audit.answers import check_answers
from orchestrd.audit.facts import Acknowledged, check_facts, check_requests, check_rows
from orchestrd.audit.finding import Finding
from orchestrd.audit.modes import check_modes
from orchestrd.audit.picture import Picture
from orchestrd.audit.processes import check_processes
from orchestrd.audit.secrecy import check_secrecy
from orchestrd.audit.streams import check_streams
from orchestrd.audit.work import check_work
from orchestrd.clock import Clock, SystemClock

UNKNOWN = "cannot be told: the journal cannot be read (I1)"


def check_home(
    root: Path,
    *,
    environ: Mapping[str, str] | None = None,
    ledger: Mapping[str, Acknowledged] | None = None,
    logs: Iterable[Path] = (),
    clock: Clock | None = None,
) -> list[Finding]:
    """
    Look at the home *root* and say of each invariant, I1 to I10, whether it holds.

    Changes nothing and disturbs nobody: the home may be served, dead, or a copy (SQLite may make its ``-wal`` and ``-shm``
    files anew, empty).  *ledger* holds the writes that clients
    were answered, by request id; *logs* are files outside of the home that the daemon's log went to; *environ* is the
    environment that a daemon would have.  Raises `ConfigError` when the home's prices cannot be read.
    """
    return examine(Picture(root, environ or {}), ledger=ledger or {}, logs=logs, clock=clock or SystemClock())


def examine(
    picture: Picture, *, ledger: Mapping[str, Acknowledged], logs: Iterable[Path], clock: Clock
) -> list[Finding]:
    """
    `check_home` of a picture that was taken already.
    """
    found = check_facts(picture).findings()
    if picture.readable:
        streams, money = check_streams(picture)
        found += streams.findings() + money.findings()
        found += check_requests(picture, ledger).findings()
        found += check_rows(picture).findings()
        found += check_processes(picture, clock).findings()
        found += check_answers(picture).findings()
    else:
        found += map(_unknown, ("I2", "I3", "I4", "I5", "I6", "I7"))
    found += check_modes(picture).findings()
    found += check_secrecy(picture, logs).findings()
    return [*found, *(check_work(picture).findings() if picture.readable else [_unknown("I10")])]


def _unknown(invariant: str) -> Finding:
    return Finding(invariant=invariant, status="warning", detail=UNKNOWN)
