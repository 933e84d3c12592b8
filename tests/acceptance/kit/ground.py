"""
What every small world of a test stands on: a project, a home, and the daemon and client as real processes, with a clean
environment of their own.  Who the agents are is a subclass's business.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from kit import project
from kit.client import Done, run_client
from kit.files import wait_file
from kit.gate import Gate
from kit.journal import Event, events, wait_event
from kit.processes import belonging, end, parent
from kit.rpc import Link
from kit.script import DAY

from orchestrd.address import socket_path


class Ground:
    """
    Made in a folder of its own under the system's temporary folder: a socket's path must be short.
    """

    def __init__(
        self,
        *,
        config: dict[str, Any] | None = None,
        env: dict[str, str | None] | None = None,
        files: dict[str, str] | None = None,
        start: bool = True,
        watched: bool = False,
        zone: str = "UTC0",
    ) -> None:
        """
        *config* adds to ``orchestrd.yaml``, *env* to the agents' environment (None takes a variable out), *files* to the
        project; *zone* is the time zone of daemon and client (POSIX ``TZ``).  A *watched* daemon writes down where it passes, see `passed`.
        """
        self.root = Path(tempfile.mkdtemp(prefix="orch-"))
        self.home, self.project = self.root / "home", self.root / "project"
        self.claude, self.runtime = self.root / "claude", self.root / "run"
        for folder in (self.home / "config", self.home / "tasks", self.claude, self.runtime):
            folder.mkdir(parents=True, mode=0o700)
        self.log = self.root / "daemon.log"
        self._passes = self.root / "passes" if watched else None
        self._zone = zone
        self.quiet = False
        """True when nobody wants to see the daemon's log at the end."""
        self.gate = Gate()
        self.daemon: subprocess.Popen[bytes] | None = None
        try:
            project.make(self.project, files or {})
            self._env: dict[str, str | None] = {
                "PATH": os.environ["PATH"],
                "HOME": str(self.claude),
                "LANG": "C.UTF-8",
                "GATE": self.gate.address,
                **self.furnish(),
                **(env or {}),
            }
            self.configure(**(config or {}))
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def furnish(self) -> dict[str, str]:
        """
        Start what the agents need; gives what their environment says of it.
        """
        return {}

    def agent_settings(self) -> dict[str, Any]:
        """
        What every world of this kind has under ``agent`` in ``orchestrd.yaml``.
        """
        # Little is promised: how many agents start must not depend on who else is at work on the machine.  Neither a sandbox nor a
        # look whether the CLI obeys, unless a test is about that: what agents do must be the same wherever they are run.
        return {"stop_grace": "3s", "memory": "50MB", "disk": "10MB", "canary": False, "sandbox": "off"}

    def helpers(self) -> list[subprocess.Popen[bytes]]:
        """
        Processes that `furnish` started.
        """
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    # -- making and ending -------------------------------------------------------------------------------------------

    def configure(self, **config: Any) -> None:
        """
        Write ``orchestrd.yaml``, and ``policy.yaml`` where *config* has a part of that name; a running daemon keeps what it read at
        its start.
        """
        self._config = config
        if "policy" in config:
            rules = self.home / "config" / "policy.yaml"
            rules.write_text(yaml.safe_dump(config["policy"]), encoding="utf-8")
            config = {name: value for name, value in config.items() if name != "policy"}
        path = self.home / "config" / "orchestrd.yaml"
        path.write_text(yaml.safe_dump(self.settings(**config)), encoding="utf-8")

    def settings(self, **config: Any) -> dict[str, Any]:
        """
        What ``orchestrd.yaml`` says with this *config*.
        """
        agent = {**self.agent_settings(), **config.get("agent", {})}
        agent["env"] = [f"{name}={value}" for name, value in self._env.items() if value is not None]
        keep_free = {"memory": 0, "disk": 0}
        return {"project": str(self.project), "keep_free": keep_free, **config, "agent": agent}

    def set_env(self, **env: str | None) -> None:
        """
        Change the agents' environment, for the next daemon.
        """
        self._env |= env
        self.configure(**self._config)

    def close(self) -> None:
        """
        End every process of this world, and nothing else; show the daemon's log to whoever looks at a failure.
        """
        end(self.root)
        for process in (*([self.daemon] if self.daemon else []), *self.helpers()):
            process.wait(10)
        self.gate.close()
        if self.log.exists() and not self.quiet:
            sys.stdout.write(f"--- {self.log}\n{self.log.read_text(encoding='utf-8', errors='replace')[-20000:]}")
        if not os.environ.get("KEEP_WORLDS"):
            shutil.rmtree(self.root, ignore_errors=True)

    # -- the daemon --------------------------------------------------------------------------------------------------

    @property
    def environ(self) -> dict[str, str]:
        """
        What daemon and client are started with: nothing of the account or the shell of whoever runs the tests.
        """
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.claude),
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.runtime),
            "TZ": self._zone,
            # The same code as the tests themselves.
            **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
            **self._watching,
        }

    @property
    def _watching(self) -> dict[str, str]:
        if self._passes is None:
            return {}
        return {"ORCHESTRD_TESTING": "1", "ORCHESTRD_FAILPOINT_LOG": str(self._passes)}

    @property
    def socket(self) -> Path:
        return socket_path(self.home, self.environ)

    def spawn(self) -> subprocess.Popen[bytes]:
        """
        A daemon process on this home.
        """
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "orchestrd", "--home", str(self.home)],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def start(self) -> None:
        """
        Start the daemon and wait until it serves.
        """
        before = self.log.stat().st_size if self.log.exists() else 0
        self.daemon = daemon = self.spawn()
        wait_file(self.log, lambda data: b"daemon.ready" in data[before:], writer=daemon)

    def kill(self) -> None:
        """
        SIGKILL: the daemon gets no chance to say anything.
        """
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait(10)

    def stop(self) -> int:
        """
        SIGTERM; the daemon's exit status.
        """
        assert self.daemon is not None
        self.daemon.terminate()
        return self.daemon.wait(30)

    def passed(self, point: str, times: int, *, timeout: float = 60.0) -> None:
        """
        Wait until the daemon, a *watched* one, has passed this failpoint so many *times* more.
        """
        assert self._passes is not None, "nobody writes down where this daemon passes"
        mark = f"{point} ".encode()
        before = self._passes.read_bytes().count(mark) if self._passes.exists() else 0
        wait_file(self._passes, lambda data: data.count(mark) >= before + times, timeout=timeout)

    def rounds(self, loop: str, times: int = 2) -> None:
        """
        Wait until a loop of the daemon, such as ``session``, has gone round so many *times* more, from its begin to its end:
        what it would have done meanwhile it has done.  Of a loop that there are several of, all rounds count.
        """
        # The first of them ends a round that had begun before.
        self.passed(f"loop.{loop}", times + 1)

    # -- doing and looking -------------------------------------------------------------------------------------------

    def orchctl(self, *arguments: str, stdin: str | None = None, timeout: float = 120.0) -> Done:
        """
        Run the client.
        """
        return run_client(self.home, *arguments, env=self.environ, stdin=stdin, timeout=timeout)

    def rpc(self, method: str, **params: Any) -> Any:
        """
        Call the daemon without a client.  Raises `RpcError`.
        """
        with Link(self.socket) as link:
            return link.call(method, **params)

    def day(self, *tasks: dict[str, Any], day: str = DAY, **more: Any) -> Path:
        """
        Write a task file.
        """
        path = self.home / "tasks" / f"{day}.yaml"
        text = yaml.safe_dump({"date": day, **more, "tasks": list(tasks)}, sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")
        return path

    def submit(self, *tasks: dict[str, Any], day: str = DAY, **more: Any) -> dict[str, Any]:
        """
        Write a task file and submit it.
        """
        done = self.orchctl("submit", str(self.day(*tasks, day=day, **more)), "--json")
        assert done.code == 0, done
        found: dict[str, Any] = done.json
        return found

    def status(self, task: str | None = None) -> dict[str, Any]:
        """
        The day, or one task of it.
        """
        found: dict[str, Any] = self.rpc("task.status", **({"task": task} if task else {}))
        return found["tasks"][0] if task else found

    def wait(self, *tasks: str, timeout: float = 90.0) -> dict[str, str]:
        """
        The states of tasks (of all) once nothing more happens to them.
        """
        with Link(self.socket) as link:
            found = link.call("task.wait", tasks=list(tasks), timeout=min(timeout, 55.0))
            if found["timed_out"]:
                found = link.call("task.wait", tasks=list(tasks), timeout=max(0.0, timeout - 55.0))
        assert not found["timed_out"], found
        return {name.rpartition("/")[2]: state for name, state in found["states"].items()}

    def wait_event(self, type_: str, where: Callable[[Event], bool] | None = None, **more: Any) -> Event:
        """
        See `journal.wait_event`.
        """
        return wait_event(self.socket, type_, where, **more)

    def events(self, *types: str, run: str | None = None) -> list[Event]:
        """
        See `journal.events`.
        """
        return events(self.home / "var" / "orchestrd.db", *types, run=run)

    def git(self, *arguments: str) -> str:
        """
        What git says in the project.
        """
        return project.git(self.project, *arguments)

    def run_dir(self, run: str, day: str = DAY) -> Path:
        """
        The files of ``task-001/1``.
        """
        return self.home / "var" / "agent_logs" / day / run

    def workspace(self, task: str, day: str = DAY) -> Path:
        return self.home / "var" / "agent_workspaces" / day / task

    def agent_pid(self, run: str) -> int:
        """
        The agent process of a run.
        """
        return int(wait_file(self.run_dir(run) / "process.json", lambda data: data and json.loads(data))["agent"])

    def agents(self) -> list[int]:
        """
        The agent processes that are alive now, as the operating system tells: the children of shims.
        """
        found = belonging(self.root)
        shims = {pid for pid, words in found if any(word.endswith("/shim.py") for word in words)}
        return [pid for pid, words in found if parent(pid) in shims and "--input-format" in words]
