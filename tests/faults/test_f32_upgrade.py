"""
F32: a new release takes over from an old one while agents are at work: they were started by the old shim, from files that
are no longer there, and by a journal of the old schema.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import ask, gate, grandchild, say, stream
from harness.world import REATTACHED, FaultWorld
from kit.processes import alive
from kit.script import DAY, question, task

from orchestrd.storage.schema import SCHEMA_VERSION

RELEASES = sorted((Path(__file__).parents[1] / "data" / "releases").glob("*.whl"))
"""What was released, as it was: a wheel of each version."""
YOUNGER = {"keep_free": None, "agent": ("memory", "disk", "canary", "sandbox")}
"""Settings of this suite that 0.1.0 did not know: whole sections, or keys of one."""
AGENTS = 10


class OldWorld(FaultWorld):
    """
    A world whose first daemon is that of an old release.
    """

    def __init__(self, wheel: Path) -> None:
        self.old: Path | None = None
        self.wheel = wheel
        super().__init__(agents=AGENTS, start=False)

    def release(self) -> None:
        """
        Install the old release beside the project.
        """
        self.old = self.root / "release"
        zipfile.ZipFile(self.wheel).extractall(self.old)
        self.configure(**self._config)

    def upgrade(self) -> None:
        """
        The old release is gone, as an installer leaves it.
        """
        assert self.old is not None
        shutil.rmtree(self.old)
        self.old = None
        self.configure(**self._config)

    def settings(self, **config: Any) -> dict[str, Any]:
        found = super().settings(**config)
        if self.old is None:
            return found
        for section, keys in YOUNGER.items():
            if keys is None:
                found.pop(section, None)
            else:
                found[section] = {name: value for name, value in found[section].items() if name not in keys}
        return found

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **({"PYTHONPATH": str(self.old)} if self.old else {})}


@pytest.fixture(params=RELEASES, ids=[path.name.split("-")[1] for path in RELEASES])
def world(request):
    with OldWorld(request.param) as made:
        made.release()
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_agents_of_an_old_release(world, end, tally):
    works = [f"w{number}" for number in range(AGENTS - 3)]
    world.script("default", [stream(5), gate("on"), stream(40, every=0.01), say()])
    world.script("asks", [stream(3), ask(question("Which?", "One", "Two")), stream(3), say()])
    world.script("unwanted", [grandchild(), stream(3), gate("never"), say()])
    world.script("frozen", [stream(3), gate("cold"), stream(3), say()])
    world.start()
    world.submit_tasks(*(task(name) for name in (*works, "asks", "unwanted", "frozen")), day=DAY)
    arrivals = [world.gate.arrive("on") for _ in works]
    unwanted, cold = world.gate.arrive("never"), world.gate.arrive("cold")
    world.wait_event("question.asked", question=f"{DAY}/asks#1")
    before = world.living()
    assert len(before) == AGENTS
    if end == "stopped":
        assert world.stop() == 0
    else:
        world.kill()
    version = _version(world)
    world.upgrade()
    world.start()
    assert world.living() == before
    assert _version(world) == SCHEMA_VERSION > version
    for arrival in arrivals:
        arrival.release()
    world.write("question.answer", task=f"{DAY}/asks", text="One", by="cli")
    # Every word of the protocol with the shim: `input` and `eof` by all, `stop` by the one that is cancelled, `signal`.
    world.write("task.cancel", tasks=[f"{DAY}/unwanted"])
    assert unwanted.gone()
    world.write("home.freeze")
    world.write("home.thaw")
    cold.release()
    states = world.wait()
    assert states == dict.fromkeys((*works, "asks", "frozen"), "succeeded") | {"unwanted": "cancelled"}
    assert not [pid for pid in before.values() if alive(pid)]
    tally("F32", kills=int(end == "killed"), note=f"{world.wheel.name.split('-')[1]}, {end}", **check(world).counts)
    assert world.lives[-1].own <= REATTACHED


@pytest.mark.slow
def test_an_old_release_on_a_newer_home(world, tally):
    world.upgrade()
    world.start()
    assert world.stop() == 0
    world.release()
    path = world.home / "var" / "orchestrd.db"
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "orchestrd", "--home", str(world.home)],
        env=world.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert f"has schema {SCHEMA_VERSION}" in done.stderr
    assert path.read_bytes() == before
    tally("F32", note="the old release refuses the newer home")


def _version(world: FaultWorld) -> int:
    with sqlite3.connect(f"file:{world.home / 'var' / 'orchestrd.db'}?mode=ro", uri=True) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return int(version)


MUTANTS = (
    Mutant(
        "the shim is told in words that the old one does not know",
        file="storage/rundir.py",
        old='        self.tell("input")\n',
        new='        self.tell("take")\n',
        test="test_agents_of_an_old_release[0.1.0-killed]",
    ),
    Mutant(
        "a spec without what is new is no spec",
        file="storage/rundir.py",
        old="    version: int = 1\n    run: str\n",
        new="    version: int = 1\n    run: str\n    release: str\n",
        test="test_agents_of_an_old_release[0.1.0-stopped]",
    ),
    Mutant(
        "the tables were changed and their schema kept its number",
        file="storage/schema.py",
        old='    2: """\nCREATE TABLE meta',
        new='    1: """\nCREATE TABLE meta',
        test="test_an_old_release_on_a_newer_home",
    ),
)
