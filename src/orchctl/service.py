"""
The daemon as a service of the user's systemd: install it, take it out, look at it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from orchctl import launcher
from orchctl.client import Client
from orchctl.failures import Failed, Unreachable
from orchctl.unit import RUNS, Unit
from orchestrd.address import served_socket
from orchestrd.config import load_config

ENV_FILE = "config/service.env"
_EVERYWHERE = frozenset(("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TERM"))
"""A service has these of its own, or agents do without."""


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """
    The service of a home: *state* is systemd's word (``active``, ``inactive``, ``failed``), *says* what the daemon says of
    itself, *changed* the files that were just written or removed, *notes* what is left for the person to do.
    """

    unit: str
    files: list[str]
    installed: bool
    enabled: bool
    state: str
    pid: int | None
    says: str
    linger: bool
    changed: list[str] = []
    notes: list[str] = []


def install(home: Path, client: Client, environ: Mapping[str, str]) -> ServiceState:
    """
    Write the units, enable and start them; a daemon that was started by hand hands over, once all is ready for it.  Agents go on.

    Raises `ConfigError`, and `Failed` when it cannot be had: then everything is as it was before.
    """
    unit = Unit(home, environ)
    unit.manager.require()
    config = load_config(home)
    os.close(launcher.open_output(home))
    before = _Before(unit)
    try:
        changed = unit.write()
        if changed:
            unit.manager.do("daemon-reload")
        unit.manager.do("enable", unit.socket, unit.service)
        unit.require_loaded()
        if not before.ran:
            # A socket that waits would start the service at our own call to the daemon that was started by hand.
            unit.stop()
            before.by_hand = launcher.stop_by_call(home, client) is not None
        elif before.texts[1] is not None and str(unit.files[1]) in changed:
            unit.stop()
        launcher.through(unit, client, unit.restart if changed and unit.running() else unit.start)
    except (Failed, Unreachable) as error:
        raise Failed(
            f"the service was not installed: {error.message}",
            hint=f"{before.put_back(client)} When that is mended: orchctl service install. {error.hint}".strip(),
        ) from None
    wanted = config.agent.env
    names = [entry for entry in wanted if "=" not in entry] if isinstance(wanted, list) else list(wanted)
    return _state(unit, changed, _notes(unit, names, environ))


class _Before:
    """
    How things stood before an installation; *by_hand* is for the installer to say: it has stopped a daemon that no service ran.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.texts = unit.held()
        shown = unit.shown()
        self.enabled = shown["UnitFileState"] == "enabled"
        self.ran = shown["ActiveState"] in RUNS
        self.by_hand = False

    def put_back(self, client: Client) -> str:
        """
        Take everything back; gives what the person should know of it.
        """
        unit, both = self._unit, (self._unit.socket, self._unit.service)
        if not self.ran:
            unit.manager.attempt("stop", *both)
        if not self.enabled:
            unit.manager.attempt("disable", *both)
        said = ["Everything is as it was before."]
        try:
            if unit.write(self.texts):
                unit.manager.attempt("daemon-reload")
                unit.manager.attempt("reset-failed", *both)
            if self.ran and not unit.running():
                launcher.through(unit, client, unit.start)
            elif self.by_hand:
                client.close()
                client.path = served_socket(unit.home, dict(os.environ))
                pid = launcher.start_by_hand(unit.home, client).pid
                said.append(f"The daemon was started by hand again (process {pid}).")
        except (Failed, Unreachable) as error:
            said = [f"Not all of it could be taken back: {error.message}. See: orchctl daemon start."]
        return " ".join(said)


def uninstall(home: Path, environ: Mapping[str, str]) -> ServiceState:
    """
    End and disable the units and remove their files.  Agents go on.

    Raises `Failed`.
    """
    unit = Unit(home, environ)
    unit.manager.require()
    there = [path for path in unit.files if path.is_file()]
    if there:
        names = [path.name for path in there]
        # What the manager cannot load it cannot stop either, and that must not keep it here.
        act = unit.manager.do if unit.loaded() or unit.running() else unit.manager.attempt
        act("stop", *names)
        act("disable", *names)
        for path in there:
            path.unlink()
        unit.manager.do("daemon-reload")
        unit.manager.attempt("reset-failed", *names)
    return _state(unit, [str(path) for path in there], [])


def status(home: Path, environ: Mapping[str, str]) -> ServiceState:
    """
    How things stand.

    Raises `Failed`.
    """
    unit = Unit(home, environ)
    unit.manager.require()
    return _state(unit, [], [])


def _state(unit: Unit, changed: list[str], notes: list[str]) -> ServiceState:
    shown = unit.shown()
    lingers = unit.manager.lingers()
    if unit.installed and not lingers:
        notes = [*notes, "It ends when you log out, until you allow it to stay: loginctl enable-linger"]
    return ServiceState(
        unit=unit.service,
        files=[str(path) for path in unit.files if path.is_file()],
        installed=unit.installed,
        enabled=shown["UnitFileState"] == "enabled",
        state=shown["ActiveState"] or "inactive",
        pid=int(shown["MainPID"] or 0) or None,
        says=shown["StatusText"],
        linger=lingers,
        changed=changed,
        notes=notes,
    )


def _notes(unit: Unit, names: list[str], environ: Mapping[str, str]) -> list[str]:
    """
    What agents would get from a daemon started in this shell, and do not get from the service.
    """
    path = unit.home / ENV_FILE
    notes = []
    try:
        kept = path.read_text(encoding="utf-8") if path.is_file() else ""
        if kept and stat.S_IMODE(path.stat().st_mode) & 0o077:
            notes.append(f"{path} can be read by others: chmod 600 {path}")
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path}: cannot be read: {error}") from None
    has = {line.partition("=")[0].strip() for line in kept.splitlines()} | unit.manager.variables() | _EVERYWHERE
    missing = [name for name in names if name in environ and name not in has]
    if missing:
        notes.append(f"Set here, but not for the service: {', '.join(missing)}. Write NAME=value lines into {path}")
    return notes
