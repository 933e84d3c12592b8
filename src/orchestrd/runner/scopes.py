"""
A control group for each agent, made by the user's service manager: ``systemd-run --user --scope``.

Memory that one agent takes is then that agent's alone, the kernel ends processes of one run instead of the service, and
the service's own control group holds only the daemon.

Facts: systemd 252 (systemd-run(1), systemd.resource-control(5)).  A scope takes no ``OOMScoreAdjust=``; ``OOMPolicy=``
only where the distribution or version has it.
"""

from __future__ import annotations

import re
import shutil
import uuid

from orchestrd.logs import get_logger

log = get_logger(__name__)
SCOPE_SECONDS = 10.0
"""How long the service manager may take before the agent is started without it."""
SLICE = "orchestrd.slice"
_PASSED = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""All that ``systemd-run`` needs to find the manager."""
_LONGEST = 180


class Scopes:
    """
    How shims are put into scopes.  *home* is a short name of the home, *memory_max* bytes for one agent or None.
    """

    def __init__(self, *, home: str, memory_max: int | None, environ: dict[str, str]) -> None:
        self._home = home
        self._memory_max = memory_max
        self._program = shutil.which("systemd-run", path=environ.get("PATH"))
        self._environ = {name: environ[name] for name in _PASSED if name in environ}
        self._continues = True
        self._failing = False

    @property
    def environ(self) -> dict[str, str]:
        """
        The environment of ``systemd-run``.
        """
        return dict(self._environ)

    def wrap(self, run: str, argv: list[str], env: dict[str, str]) -> list[str]:
        """
        The command that runs *argv* with exactly *env* in a scope of its own.
        """
        name = re.sub(r"[^A-Za-z0-9._-]", "-", f"orchestrd-agent-{self._home}-{run}")[:_LONGEST]
        properties = [
            *([f"MemoryMax={self._memory_max}"] if self._memory_max is not None else []),
            # One process of a run may be too large without the others being at fault.
            *(["OOMPolicy=continue"] if self._continues else []),
        ]
        return [
            self._program or "systemd-run",
            "--user",
            "--scope",
            "--collect",
            "--quiet",
            f"--slice={SLICE}",
            # An earlier scope of the same run may not be gone yet.
            f"--unit={name}-{uuid.uuid4().hex[:6]}",
            f"--description=Agent of {run}",
            *(f"--property={text}" for text in properties),
            "--",
            "env",
            "-i",
            *(f"{name}={value}" for name, value in env.items()),
            *argv,
        ]

    def failed(self, why: str) -> bool:
        """
        The manager made no scope, and said *why*; told in the log once.  True when it is worth trying again at once.
        """
        if self._continues and "OOMPolicy" in why:
            self._continues = False
            return True
        if not self._failing:
            log.warning("scope.refused", error=why, memory_max=self._memory_max)
        self._failing = True
        return False

    def made(self) -> None:
        """
        A scope was made.
        """
        if self._failing:
            log.info("scope.made_again")
        self._failing = False
