"""
Fixtures of the tests that work on real repositories.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process, TaskGroup
from blockbuster import blockbuster_ctx

import audithome
from factories import LIMITS, FixedClock
from gitworld import Agent, make_project
from orchestrd.services.bus import Bus
from orchestrd.services.desk import Desk
from orchestrd.services.questions import Questions
from orchestrd.services.store import Store
from orchestrd.storage.home import Home
from orchestrd.workspace.repository import Repository


@pytest.fixture
def never_blocking() -> Iterator[None]:
    """
    A call of ``orchestrd.workspace`` that blocks the event loop fails.
    """
    with blockbuster_ctx("orchestrd.workspace"):
        yield


@pytest.fixture
def journaled(tmp_path: Path) -> tuple[Store, Desk]:
    """
    A journal whose writer is still to be run, and a desk on it.
    """
    home, bus = Home(tmp_path), Bus()
    home.create()
    store = Store(home.database, bus, FixedClock())
    return store, Desk(store, bus, Questions(home, store, bus, LIMITS), LIMITS, lambda _: None)


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    The home folder of the person, with no settings in it.
    """
    home = tmp_path / "person"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    # What the daemon inherits must not reach git.
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")
    return home


class SlowSpawn:
    """
    Programs are there some time before whoever starts them has them in hand.
    """

    def __init__(self) -> None:
        self.pids: list[int] = []
        self._begun, self._called_off = anyio.Event(), anyio.Event()

    async def call_off(self, group: TaskGroup) -> None:
        """
        Cancel *group* in that time.
        """
        with anyio.fail_after(30):
            await self._begun.wait()
        group.cancel_scope.cancel()
        self._called_off.set()

    async def open(self, *arguments: Any, **options: Any) -> Process:
        process = await OPEN(*arguments, **options)
        self.pids.append(process.pid)
        self._begun.set()
        await self._called_off.wait()
        return process


OPEN = anyio.open_process


@pytest.fixture
def slow_spawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowSpawn]:
    slow = SlowSpawn()
    monkeypatch.setattr(anyio, "open_process", slow.open)
    yield slow
    for pid in slow.pids:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


@pytest.fixture
def project(tmp_path: Path, person: Path) -> Path:
    """
    The person's project, see `make_project`.
    """
    return make_project(tmp_path / "project")


@pytest.fixture
async def repo(tmp_path: Path, project: Path) -> Repository:
    """
    Our repository beside the project.
    """
    return await Repository.open(tmp_path / "home/var/git/one.git", project)


@pytest.fixture
async def agent(repo: Repository, tmp_path: Path) -> Agent:
    """
    An agent that starts from the project as it was committed.
    """
    return await Agent.start(repo, tmp_path / "tree")


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> audithome.Kept:
    """
    A day that a real daemon carried, see `audithome.make`.
    """
    return audithome.make(tmp_path_factory.mktemp("lived"))


@pytest.fixture
def home(lived: audithome.Kept, tmp_path: Path) -> Path:
    """
    A copy of the home as the daemon left it, to be damaged.
    """
    return audithome.copy(lived.after, tmp_path / "home")


@pytest.fixture
def cut(lived: audithome.Kept, tmp_path: Path) -> Path:
    """
    A copy of the same home at the moment at which its daemon was killed: its agents live elsewhere.
    """
    return audithome.copy(lived.amid, tmp_path / "home")
