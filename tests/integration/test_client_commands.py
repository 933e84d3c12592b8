"""
The commands as a person types them, against a small daemon that answers on a real socket with prepared values.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchctl.__main__ import main
from orchestrd.config import socket_path
from orchestrd.protocol import api, jsonrpc

DAY = "2026-11-22"
DAEMON = api.DaemonStatus(pid=4242, started_at="2026-11-22T08:00:00.000Z", version="0.1.0", home="/h", agents=1)


class Refusal(Exception):
    def __init__(self, code: int, message: str, **data: Any) -> None:
        super().__init__(message)
        self.error = jsonrpc.ErrorObject(code=code, message=message, data=data)


class Daemon:
    """
    Answers each method with ``answers[method]``: a value, or a function of the parameters.
    """

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, Any] = {"daemon.status": DAEMON}
        self.calls: list[tuple[str, Any]] = []
        self.facts: list[api.EventRecord] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.path = path

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                request = jsonrpc.decode_request(line)
                params = msgspec.json.decode(request.params, type=api.METHODS[request.method].params)
                self.calls.append((request.method, params))
                try:
                    answer = self.answers[request.method]
                    value = answer(params) if callable(answer) else answer
                    connection.sendall(jsonrpc.result_line(request.id, value))
                except Refusal as refusal:
                    connection.sendall(jsonrpc.error_line(request.id, refusal.error))
                    continue
                if request.method == "events.subscribe":
                    for fact in self.facts:
                        connection.sendall(jsonrpc.notification_line("event", fact))

    def asked(self, method: str) -> list[Any]:
        return [params for name, params in self.calls if name == method]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("ORCHESTRD_HOME", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    root = tmp_path / "h"
    (root / "config").mkdir(parents=True)
    (root / "config" / "orchestrd.yaml").write_text("project: .\n")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def daemon(home: Path) -> Iterator[Daemon]:
    served = Daemon(socket_path(home, dict(os.environ)))
    yield served
    served.close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def act(*args: str) -> tuple[int, str, str]:
        code = main(args)
        out, err = capsys.readouterr()
        return code, out, err

    return act


def make_task(id: str = "task-001", **over: Any) -> api.TaskStatus:
    values: dict[str, Any] = {"id": id, "day": DAY, "name": "Write the guide", "state": "queued", **over}
    return api.TaskStatus(**values)


def make_status(*tasks: api.TaskStatus, **over: Any) -> api.Status:
    cost = api.CostStatus(spent_usd=1.5, reserved_usd=0.5, limit_usd=10.0, fraction=0.15)
    return api.Status(**{"day": DAY, "cost": cost, "tasks": list(tasks), "daemon": DAEMON, "seq": 7, **over})
