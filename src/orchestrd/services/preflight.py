"""
Is everything there that agents need?  Asked before anything starts, and again until it is.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import anyio
from anyio.abc import TaskStatus

from orchestrd.config import agent_environment
from orchestrd.domain.containment import in_words
from orchestrd.errors import AgentError, ConfigError
from orchestrd.logs import get_logger
from orchestrd.protocol.api import DoctorCheck
from orchestrd.runner.claude_cli import PROBE_SECONDS, AgentCli, find, probe
from orchestrd.runner.probe import HINT
from orchestrd.services.bus import Bus
from orchestrd.services.pulse import Pulse
from orchestrd.services.sandboxes import Sandboxes
from orchestrd.services.settings import Settings
from orchestrd.storage.home import Home

log = get_logger(__name__)
AGAIN_SECONDS = 15.0
ROUND_SECONDS = AGAIN_SECONDS + 2 * PROBE_SECONDS
"""What one round may take: the CLI may hang at both of its questions, which is no fault of this loop."""


def finding(name: str, status: str, detail: str, hint: str = "") -> DoctorCheck:
    """
    One thing looked at: *status* is ok, warning or problem.
    """
    return DoctorCheck(name=name, status=status, detail=detail, hint=hint)


class Preflight:
    """
    The state of the agent CLI; *problem* is why nothing may start, or None.
    """

    def __init__(self, home: Home, settings: Settings, bus: Bus, environ: dict[str, str], sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes
        self._home = home
        self._bus = bus
        self._settings = settings
        self._environ = environ
        self.cli: AgentCli | None = None
        self.problem: str | None = "the agent CLI has not been looked at yet"
        self.error: AgentError | None = None
        self.looked = anyio.Event()
        """Set once the CLI has been looked at for the first time."""

    async def look(self) -> AgentCli:
        """
        Find the CLI and ask it for its version and login.

        Raises `AgentError`; the reason is kept in *problem*.
        """
        agent = self._settings.config.agent
        try:
            env = agent_environment(agent, self._environ)
            self.cli = await probe(find(agent.binary, self._environ, self._home.root), env)
        except AgentError as error:
            self.cli, self.error, self.problem = None, error, error.message
            raise
        else:
            self.error, self.problem = None, None
            return self.cli
        finally:
            # Whoever asked for it, this was the look that others wait for.
            self.looked.set()

    async def findings(self, project: Path) -> list[DoctorCheck]:
        """
        Everything `orchctl doctor` reports that is no secret of the journal.
        """
        found: list[DoctorCheck] = []
        try:
            cli = await self.look()
        except AgentError as error:
            found.append(finding("agent CLI", "problem", error.message, error.hint))
        else:
            found.append(finding("agent CLI", "ok", f"Claude Code {cli.version} at {cli.path}, logged in"))
        found.append(await self._sandbox())
        git = shutil.which("git", path=self._environ.get("PATH", os.defpath))
        found.append(
            finding("git", "ok", git) if git else finding("git", "problem", "git is not on PATH", "Install git.")
        )
        if (project / ".git").exists():
            found.append(finding("project", "ok", str(project)))
        else:
            hint = "Set `project:` in config/orchestrd.yaml to the top of a git work tree."
            found.append(finding("project", "problem", f"{project} is not the top of a git work tree", hint))
        free = shutil.disk_usage(self._home.root).free
        enough = free > 1 << 30
        found.append(
            finding(
                "disk",
                "ok" if enough else "warning",
                f"{free / (1 << 30):.1f} GiB free",
                "" if enough else "Each agent's working tree needs room for a copy of the project.",
            )
        )
        return found

    async def _sandbox(self) -> DoctorCheck:
        """
        Whether agents are held by the system, tried anew.
        """
        try:
            await self._sandboxes.look()
        except ConfigError as error:
            return finding("sandbox", "problem", error.message, error.hint)
        held = self._sandboxes.held
        status = "ok" if held.sandbox or not held.wanted else "warning"
        return finding("sandbox", status, in_words(held), "" if held.sandbox else HINT)

    async def run(self, pulse: Pulse, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Look at once, and again while there is a problem, so that mending it needs no restart; until cancelled.

        The daemon serves meanwhile: a CLI that hangs holds up what needs it, nothing else.
        """
        task_status.started()
        while True:
            await pulse.turn("preflight", work=ROUND_SECONDS)
            if self.problem is not None:
                await self._look_and_tell()
            await anyio.sleep(AGAIN_SECONDS)

    async def _look_and_tell(self) -> None:
        first = not self.looked.is_set()
        try:
            cli = await self.look()
        except AgentError as error:
            if first:
                log.warning("agent.missing", error=error.message, hint=error.hint)
        else:
            log.info("agent.ready", path=cli.path, version=cli.version)
        self._bus.publish([])
