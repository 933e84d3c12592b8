"""
The user's service manager, through ``systemctl --user``.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from orchctl.failures import Failed

CALL_SECONDS = 180.0
"""How long one call may take: a start waits until the daemon has recovered."""
_LINGER = Path("/var/lib/systemd/linger")
_INSTEAD = "Without one the daemon runs all the same: orchctl daemon start"


class Manager:
    """
    The service manager of the user whose environment is given.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    def absence(self) -> str:
        """
        Why the manager cannot be used here; empty when it can.
        """
        if shutil.which("systemctl", path=self._environ.get("PATH")) is None:
            return "there is no systemctl on PATH"
        if not self._environ.get("XDG_RUNTIME_DIR"):
            return "XDG_RUNTIME_DIR is not set, as after `su` (it is mostly /run/user/UID)"
        done = self._run("show", "--property=Version")
        return "" if done.returncode == 0 else _said(done)

    def require(self) -> None:
        """
        Raise `Failed` unless the manager can be used.
        """
        why = self.absence()
        if why:
            raise Failed(f"no systemd user manager can be reached: {why}", hint=_INSTEAD)

    def do(self, *arguments: str) -> None:
        """
        Call it.  Raises `Failed`.
        """
        done = self._run(*arguments)
        if done.returncode != 0:
            raise Failed(f"systemctl --user {' '.join(arguments)} failed: {_said(done)}")

    def attempt(self, *arguments: str) -> bool:
        """
        Call it; True when it succeeded.
        """
        return self._run(*arguments).returncode == 0

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """
        Properties of *unit*; empty texts for what is not known.
        """
        done = self._run("show", unit, f"--property={','.join(properties)}")
        found = dict.fromkeys(properties, "")
        for line in done.stdout.splitlines():
            name, _, value = line.partition("=")
            found[name] = value
        return found

    def variables(self) -> set[str]:
        """
        The names of its environment's variables, which every service gets.
        """
        return {line.partition("=")[0] for line in self._run("show-environment").stdout.splitlines()}

    def lingers(self) -> bool:
        """
        Whether it goes on when the user has logged out.
        """
        user = getpass.getuser()
        loginctl = shutil.which("loginctl", path=self._environ.get("PATH"))
        if loginctl is not None:
            done = subprocess.run(
                [loginctl, "show-user", str(os.getuid()), "--property=Linger", "--value"],
                capture_output=True,
                text=True,
                check=False,
                timeout=CALL_SECONDS,
                env=self._environ,
            )
            if done.returncode == 0:
                return done.stdout.strip() == "yes"
        return (_LINGER / user).exists()

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["systemctl", "--user", "--no-pager", *arguments],
                env={**self._environ, "SYSTEMD_COLORS": "0", "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=CALL_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"systemctl --user {' '.join(arguments)} did not end within {CALL_SECONDS:g} s") from None
        except OSError as error:
            raise Failed(f"systemctl cannot be run: {error.strerror}", hint=_INSTEAD) from None


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stderr.split()) or f"exit status {done.returncode}"
