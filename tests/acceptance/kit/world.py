"""
A whole small world for one test: a project, a home, the rehearsal model, and the daemon, client and Claude Code CLI as
real processes, with a clean environment of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from kit.files import wait_file
from kit.gate import COMMAND, Gate
from kit.processes import belonging, end
from kit.rpc import Link
from kit.script import DAY, PRICES

from orchestrd.config import socket_path

Event = dict[str, Any]


class Done:
    """
    A finished command.
    """

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit status {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    @property
    def json(self) -> Any:
        """
        What it printed, as JSON.
        """
        return json.loads(self.out)


class World:
    """
    Made in a folder of its own under the system's temporary folder: a socket's path must be short.
    """

    def __init__(
        self,
        scenarios: list[dict[str, Any]],
        *,
        config: dict[str, Any] | None = None,
        env: dict[str, str | None] | None = None,
        files: dict[str, str] | None = None,
        start: bool = True,
    ) -> None:
        """
        *config* adds to ``orchestrd.yaml``, *env* to the agents' environment (None takes a variable out), *files* to the
        project.
        """
        self.root = Path(tempfile.mkdtemp(prefix="orch-"))
        self.home, self.project = self.root / "home", self.root / "project"
        self.claude, self.runtime = self.root / "claude", self.root / "run"
        for folder in (self.home / "config", self.home / "tasks", self.claude, self.runtime):
            folder.mkdir(parents=True, mode=0o700)
        self.gate = Gate()
        self.daemon: subprocess.Popen[bytes] | None = None
        self._rehearsal: subprocess.Popen[bytes] | None = None
        try:
            self._make_project(files or {})
            self.url = self._start_rehearsal(scenarios)
            self._env = {
                "PATH": os.environ["PATH"],
                "HOME": str(self.claude),
                "LANG": "C.UTF-8",
                "ANTHROPIC_API_KEY": "sk-rehearsal",
                "ANTHROPIC_BASE_URL": self.url,
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
        agent = {"binary": "bundled", "stop_grace": "3s", **config.pop("agent", {})}
        agent["env"] = [f"{name}={value}" for name, value in self._env.items() if value is not None]
        settings = {"project": str(self.project), "agent": agent, **config}
        (self.home / "config" / "orchestrd.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def close(self) -> None:
        """
        End every process of this world, and nothing else; show the daemon's log to whoever looks at a failure.
        """
        end(self.root)
        for process in (self.daemon, self._rehearsal):
            if process is not None:
                process.wait(10)
        self.gate.close()
        log = self.root / "daemon.log"
        if log.exists():
            sys.stdout.write(f"--- {log}\n{log.read_text(encoding='utf-8', errors='replace')[-20000:]}")
        if not os.environ.get("KEEP_WORLDS"):
            shutil.rmtree(self.root, ignore_errors=True)

    def _make_project(self, files: dict[str, str]) -> None:
        self.project.mkdir()
        texts = {"README.md": "# Example\n", "src/app.py": "print('hello')\n", "gate.py": COMMAND, **files}
        for name, text in texts.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        self.git("-c", "user.name=Person", "-c", "user.email=person@example.org", "commit", "--quiet", "-m", "start")

    def git(self, *arguments: str) -> str:
        """
        What git says in the project.
        """
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.claude),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        return subprocess.run(
            ["git", *arguments], cwd=self.project, env=env, check=True, capture_output=True, text=True
        ).stdout

    def _start_rehearsal(self, scenarios: list[dict[str, Any]]) -> str:
        path, ready = self.root / "scenarios.yaml", self.root / "rehearsal.url"
        path.write_text(yaml.safe_dump({"scenarios": scenarios}), encoding="utf-8")
        self._rehearsal = subprocess.Popen(
            [sys.executable, "-m", "orchestrd.rehearsal", str(path), "--ready-file", str(ready)],
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        return wait_file(ready, lambda data: data.decode().strip())

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
        done = subprocess.run(
            [sys.executable, "-m", "orchctl", "--home", str(self.home), *arguments],
            env=self.environ,
            cwd=self.root,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

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

    def wait_event(
        self,
        type_: str,
        where: Callable[[Event], bool] | None = None,
        *,
        since: int = 0,
        timeout: float = 60.0,
        **match: Any,
    ) -> Event:
        """
        The first fact above *since* of this type whose fields are as *match* says; as ``{"seq", "at", "type", "event"}``.
        """
        limit = time.monotonic() + timeout
        seen: list[str] = []
        with Link(self.socket) as link:
            link.call("events.subscribe", since=since)
            while True:
                try:
                    line = link.line(max(0.0, limit - time.monotonic()))
                except TimeoutError:
                    raise TimeoutError(f"no {type_} {match} within {timeout:.0f} s; there was {seen}") from None
                if line.get("method") != "event":
                    continue
                found: Event = line["params"]
                seen.append(found["type"])
                body = found["event"]
                fits = found["type"] == type_ and all(body.get(key) == value for key, value in match.items())
                if fits and (where is None or where(body)):
                    return found

    def events(self, *types: str, run: str | None = None) -> list[Event]:
        """
        Every fact of the journal so far (of these *types*), read from the database itself: also without a daemon.
        """
        database = sqlite3.connect(f"file:{self.home}/var/orchestrd.db?mode=ro", uri=True)
        try:
            rows = database.execute("SELECT seq, at, type, run, body FROM events ORDER BY seq").fetchall()
        finally:
            database.close()
        return [
            {"seq": seq, "at": at, "type": kind, "run": of, "event": json.loads(body)}
            for seq, at, kind, of, body in rows
            if (not types or kind in types) and (run is None or of == run)
        ]

    def ledger(self) -> list[dict[str, Any]]:
        """
        Everything the rehearsal model billed.
        """
        with urllib.request.urlopen(f"{self.url}/rehearsal/ledger", timeout=30) as reply:
            found: list[dict[str, Any]] = json.load(reply)
        return found

    def truth(self, *scenarios: str) -> int:
        """
        Nano-USD of every finished answer (of these *scenarios*).
        """
        return sum(
            tokens * PRICES[entry["model"]][kind]
            for entry in self.ledger()
            if entry["finished"] and (not scenarios or entry["scenario"] in scenarios)
            for kind, tokens in (entry["usage"] or {}).items()
        )

    def wait_transcript(self, run: str, answer: tuple[str, int]) -> None:
        """
        Wait until the *answer*, by scenario and step, is billed whole and in the CLI's own transcript: what is younger
        when the process is killed is nowhere to be read, and is asked again.
        """
        name, step = answer
        session = self.events("run.started", run=f"{DAY}/{run}")[0]["event"]["session"]
        entry = next(e for e in self.ledger() if (e["scenario"], e["step"]) == answer)
        main = next((self.claude / ".claude" / "projects").glob(f"*/{session}.jsonl"))
        path = (
            main
            if name == run.split("/", maxsplit=1)[0]
            else next((main.parent / session / "subagents").glob("*.jsonl"))
        )
        wanted = entry["message"].encode()
        wait_file(path, lambda data: any(wanted in line and b'"assistant"' in line for line in data.splitlines()))

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
        The agent processes that are alive now, as the operating system tells.
        """
        return [pid for pid, words in belonging(self.root) if "--input-format" in words]
