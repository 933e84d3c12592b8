"""
The daemon itself.
"""

from __future__ import annotations

import msgspec


class DaemonStatus(msgspec.Struct, kw_only=True):
    """
    The daemon that answered.
    """

    pid: int
    started_at: str
    version: str
    home: str = ""
    agents: int = 0
    hold: str | None = None
    """Why nothing new starts (no agent CLI, not logged in), or None."""


class DoctorCheck(msgspec.Struct, kw_only=True):
    """
    One finding: *status* is ok, warning or problem; *hint* says what to do.
    """

    name: str
    status: str
    detail: str
    hint: str = ""


class Doctor(msgspec.Struct, kw_only=True):
    """
    The findings; *ok* when none is a problem.
    """

    ok: bool
    checks: list[DoctorCheck]


class Stopping(msgspec.Struct, kw_only=True):
    """
    The daemon leaves; agents go on.
    """

    pid: int
    agents: int
