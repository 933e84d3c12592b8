"""
A whole small world for one test: a project, a home, the rehearsal model, and the daemon, client and Claude Code CLI as
real processes, with a clean environment of their own.
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
from kit.model import Model
from kit.processes import belonging, end, parent
from kit.rpc import Link
from kit.script import DAY

from orchestrd.config import socket_path


class World:
    """
    Made in a folder of its own under the system's temporary folder: a socket's path must be short.
    """

    def __init__(
        self,
        scenarios: list[dict[str, Any]] | Callable[[World], list[dict[str, Any]]],
        *,
        config: dict[str, Any] | None = None,
        env: dict[str, str | None] | None = None,
        files: dict[str, str] | None = None,
        start: bool = True,
    ) -> None:
        """
        *scenarios* may be made with this world's paths known.  *config* adds to ``orchestrd.yaml``, *env* to the agents'
        environment (None takes a variable out), *files* to the project.
        """
        self.root = Path(tempfile.mkdtemp(prefix="orch-"))
        self.home, self.project = self.root / "home", self.root / "project"
        self.claude, self.runtime = self.root / "claude", self.root / "run"
        for folder in (self.home / "config", self.home / "tasks", self.claude, self.runtime):
            folder.mkdir(parents=True, mode=0o700)
        self.gate = Gate()
        self.daemon: subprocess.Popen[bytes] | None = None
        self._model: Model | None = None
        try:
            project.make(self.project, files or {})
            self._model = Model(self.root, scenarios(self) if callable(scenarios) else scenarios)
            self._env: dict[str, str | None] = {
                "PATH": os.environ["PATH"],
                "HOME": str(self.claude),
                "LANG": "C.UTF-8",
                "ANTHROPIC_API_KEY": "sk-rehearsal",
                "ANTHROPIC_BASE_URL": self._model.url,
                "IS_SANDBOX": "1",
                "GATE": self.gate.address,
                **(env or {}),
            }
            self.configure(**(config or {}))
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    # -- making and ending -------------------------------------------------------------------------------------------

    def configure(self, **config: Any) -> None:
        """
        Write ``orchestrd.yaml``; a running daemon keeps what it read at its start.
        """
        self._config = config
        agent = {"binary": "bundled", "stop_grace": "3s", **config.get("agent", {})}
        agent["env"] = [f"{name}={value}" for name, value in self._env.items() if value is not None]
        settings = {"project": str(self.project), **config, "agent": agent}
        (self.home / "config" / "orchestrd.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

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
        for process in (self.daemon, self._model.process if self._model else None):
            if process is not None:
                process.wait(10)
        self.gate.close()
        log = self.root / "daemon.log"
        if log.exists():
            sys.stdout.write(f"--- {log}\n{log.read_text(encoding='utf-8', errors='replace')[-20000:]}")
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
            # The same code as the tests themselves.
            **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
        }

    @property
    def socket(self) -> Path:
        return socket_path(self.home, self.environ)

    def spawn(self) -> subprocess.Popen[bytes]:
        """
        A daemon process on this home.
        """
        with (self.root / "daemon.log").open("ab") as log:
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
        log = self.root / "daemon.log"
        before = log.stat().st_size if log.exists() else 0
        self.daemon = daemon = self.spawn()
        wait_file(log, lambda data: b"daemon.ready" in data[before:], writer=daemon)

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

    def ledger(self) -> list[dict[str, Any]]:
        """
        Everything the rehearsal model billed.
        """
        return self._model.ledger() if self._model else []

    def truth(self, *scenarios: str) -> int:
        """
        Nano-USD of every finished answer (of these *scenarios*).
        """
        return self._model.truth(*scenarios) if self._model else 0

    def wait_transcript(self, run: str, answer: tuple[str, int]) -> None:
        """
        Wait until the *answer*, by scenario and step, is billed whole and in the CLI's own transcript: what is younger
        when the process is killed is nowhere to be read, and is asked again.
        """
        session = self.events("run.started", run=f"{DAY}/{run}")[0]["event"]["session"]
        entry = next(e for e in self.ledger() if (e["scenario"], e["step"]) == answer)
        main = next((self.claude / ".claude" / "projects").glob(f"*/{session}.jsonl"))
        if answer[0] != run.split("/", maxsplit=1)[0]:
            main = next((main.parent / session / "subagents").glob("*.jsonl"))
        wanted = entry["message"].encode()
        wait_file(main, lambda data: any(wanted in line and b'"assistant"' in line for line in data.splitlines()))

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
