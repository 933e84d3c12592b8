"""
A world of fake agents whose daemon is a service of a real ``systemd --user``.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from kit.files import wait_file
from kit.processes import alive
from kit.script import DAY, task

from harness.manager import UserManager
from harness.script import say, stream
from harness.world import FaultWorld
from orchctl.unit import Unit


class ServiceWorld(FaultWorld):
    """
    Not installed yet: see `install`.
    """

    def __init__(self, **more: Any) -> None:
        self.manager: UserManager | None = None
        super().__init__(start=False, **more)
        self.log = self.home / "var" / "orchestrd.out"
        self.set_service_env(self.home)
        try:
            self.manager = UserManager(self.root, self.environ)
        except BaseException:
            self.close()
            raise
        # All that the manager starts is its child, sooner or later.
        self.daemon = self.manager.process
        self.unit = Unit(self.home, self.environ)

    def close(self) -> None:
        if self.manager is not None:
            self.manager.close()
        super().close()

    def set_service_env(self, home: Path, **variables: str) -> None:
        """
        Write a home's ``service.env``: what the next daemon of its service gets besides.
        """
        # The same code as the tests themselves.
        code = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
        path = home / "config" / "service.env"
        path.write_text("".join(f"{name}={value}\n" for name, value in {**code, **variables}.items()), encoding="utf-8")
        path.chmod(0o600)

    def drop_in(self, *lines: str) -> None:
        """
        Change the service's unit, before it is installed.
        """
        folder = self.unit.folder / f"{self.unit.service}.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test.conf").write_text("\n".join(("[Service]", *lines, "")), encoding="utf-8")

    def install(self) -> dict[str, Any]:
        """
        ``service install``; what it says.
        """
        done = self.orchctl("service", "install", "--json")
        assert done.code == 0, done
        found: dict[str, Any] = done.json
        return found

    def begin(self, *names: str) -> dict[str, int]:
        """
        Submit a task for each name; gives the agents, who stream until `finish`.
        """
        for name in names:
            self.script(name, [stream(100_000, every=0.05, until="finish"), say()])
        self.submit_tasks(*(task(name) for name in names), day=DAY)
        for name in names:
            self.wait_truth("told", run=f"{DAY}/{name}/1")
        return {name: self.agent_pid(f"{name}/1") for name in names}

    def finish(self) -> None:
        """
        Have the agents come to an end.
        """
        (self.fake / "finish").touch()

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        assert self.manager is not None
        return self.manager.systemctl(*arguments, check=check)

    def show(self, name: str, unit: str = "") -> str:
        """
        One property of the service.
        """
        return self.systemctl("show", unit or self.unit.service, f"--property={name}", "--value")

    def wait_shown(self, name: str, value: str, *, timeout: float = 60.0) -> None:
        """
        Wait until a property of the service has this value; the manager is asked, for it tells nobody.
        """
        end = time.monotonic() + timeout
        while (found := self.show(name)) != value:
            if time.monotonic() > end:
                raise TimeoutError(f"{name} is {found!r} and not {value!r}")
            time.sleep(0.1)

    @property
    def main_pid(self) -> int:
        return int(self.show("MainPID"))

    def streamed(self) -> int:
        """
        How far the ledger goes now: what `wait_truth` takes as *since*.
        """
        return self.truth_file.stat().st_size

    def logged(self, event: str, *, beyond: int = 0) -> list[dict[str, Any]]:
        """
        The daemons' log lines of *event*, once there are more than *beyond*.
        """

        def look(data: bytes) -> list[dict[str, Any]]:
            lines = [
                json.loads(line) for line in data.splitlines(keepends=True) if line[:1] == b"{" and line.endswith(b"\n")
            ]
            found = [line for line in lines if line.get("event") == event]
            return found if len(found) > beyond else []

        return wait_file(self.log, look)

    def count(self, event: str) -> int:
        """
        How many such lines there are.
        """
        return self.log.read_bytes().count(f'"event": "{event}"'.encode())

    def assert_alive(self, agents: dict[str, int]) -> None:
        """
        The same agents as before live, and no others were ever started.
        """
        assert all(alive(pid) for pid in agents.values())
        assert {run.split("/")[1]: pid for run, pid in self.living().items()} == agents
        assert len(self.truth_rows("start")) == len(agents)
