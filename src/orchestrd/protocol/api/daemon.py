"""
The daemon itself.
"""

from __future__ import annotations

import msgspec

from orchestrd.protocol.api.base import Write


class SandboxStatus(msgspec.Struct, kw_only=True):
    """
    How an agent that is started now is held by the system: *network* is full, api-only or off, *credentials* env, proxy or login
    (the CLI's own folder); *why* says what is not as the settings want it, or what they leave open; *text* is all in one line.
    """

    on: bool
    network: str
    credentials: str
    why: str = ""
    wanted: bool = True
    text: str = ""


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
    """Why nothing new starts (frozen, no agent CLI, not logged in), or None."""
    frozen_since: str | None = None
    """Since when everything stands still, or None."""
    sandbox: SandboxStatus | None = None


class DoctorCheck(msgspec.Struct, kw_only=True):
    """
    One finding: *status* is ok, warning or problem; *hint* says what to do.

    Of the deep look, *name* begins with the invariant, ``I2 streams``; *subject* is the run, question, path or fact it is
    about; *mendable* says that ``--repair`` mends it; *looked* counts what was looked at.
    """

    name: str
    status: str
    detail: str
    hint: str = ""
    subject: str = ""
    mendable: bool = False
    looked: dict[str, int] = {}


class DoctorRepair(msgspec.Struct, kw_only=True):
    """
    One thing that was mended: *what* is modes, file, socket, journal, rows or process.
    """

    at: str
    what: str
    subject: str
    detail: str


class Doctor(msgspec.Struct, kw_only=True):
    """
    The findings; *ok* when none is a problem.  *repairs* is what was mended before.
    """

    ok: bool
    checks: list[DoctorCheck]
    repairs: list[DoctorRepair] = []


class Stopping(msgspec.Struct, kw_only=True):
    """
    The daemon leaves; agents go on.
    """

    pid: int
    agents: int


class Freeze(Write, kw_only=True):
    """
    Stop everything, or let it go on; *by* is the channel it came on.
    """

    by: str = "cli"


class AccountRetry(Write, kw_only=True):
    """
    Have the account tried now; *by* is the channel it came on.
    """

    by: str = "cli"


class AccountRetried(msgspec.Struct, kw_only=True):
    """
    What kept all agents (*cause*, *reason*, *since*) and is tried now; *changed* is false when that was being done already.
    """

    changed: bool
    cause: str
    reason: str
    since: str


class Frozen(msgspec.Struct, kw_only=True):
    """
    Whether everything stands still, since when, and the runs that this concerns.

    *recorded* is false when the deed was done and could not be recorded (a daemon that hangs, a full disk); *notes* are sentences for the person.
    """

    frozen: bool
    since: str | None = None
    runs: list[str] = []
    recorded: bool = True
    notes: list[str] = []
