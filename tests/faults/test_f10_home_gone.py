"""
F10: the home's state is moved away, or becomes read-only, under a live daemon: a clear error, exit 74, agents untouched.
"""

from __future__ import annotations

import os
import subprocess

import pytest
from harness import script
from harness.check import check
from harness.mutant import Mutant
from kit.processes import alive
from kit.script import DAY, task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MUTANTS = (
    Mutant(
        "nobody looks whether the home is still there",
        file="daemon.py",
        old="            loops.start_soon(_watch_home, daemon.home, daemon.lock)\n",
        new="",
        test="test_moved_away_and_put_back",
    ),
    Mutant(
        "a run whose directory is gone is taken for dead at once",
        file="runner/liveness.py",
        old="MISSING_SECONDS = 6.0\n",
        new="MISSING_SECONDS = 0.0\n",
        test="test_moved_away_and_put_back",
    ),
    Mutant(
        "whatever lies at the lock's path will do",
        file="storage/home.py",
        old="        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)\n",
        new="        return found.st_dev == held.st_dev\n",
        test="test_replaced_by_another",
    ),
)


def at_work(world):
    """
    One agent that waits at the gate in the midst of its work: who waits there, and the agent's process id.
    """
    world.script("a", [script.stream(3), script.tool("Bash", gate="held"), script.stream(3), script.say("Done.")])
    world.submit_tasks(task("a"), day=DAY)
    return world.gate.arrive("held"), world.agent_pid("a/1")


def test_moved_away_and_put_back(fault_world, tally):
    world = fault_world()
    held, pid = at_work(world)
    var, aside = world.home / "var", world.home / "elsewhere"
    var.rename(aside)
    assert world.died() == 74
    said = world.log.read_text(encoding="utf-8")
    assert "it was removed or replaced under this daemon" in said
    assert alive(pid)
    assert not (world.home / "var" / "orchestrd.db").exists()
    if var.exists():
        subprocess.run(["rm", "-r", str(var)], check=True)
    aside.rename(var)
    world.start()
    assert world.agent_pid("a/1") == pid
    held.release()
    assert world.wait("a") == {"a": "succeeded"}
    tally(row="F10", kills=1, **check(world).counts)


def test_replaced_by_another(fault_world):
    world = fault_world()
    _, pid = at_work(world)
    var, aside = world.home / "var", world.home / "elsewhere"
    var.rename(aside)
    var.mkdir(mode=0o700)
    (var / "orchestrd.lock").touch(0o600)
    assert world.died() == 74
    assert alive(pid)
    assert world.orchctl("status").code == 3


@pytest.mark.soak
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_read_only_under_it(fault_world):
    world = fault_world()
    held, pid = at_work(world)
    var = world.home / "var"

    def mount(*words: str) -> None:
        subprocess.run(["mount", *words], check=True, capture_output=True)

    mount("--bind", str(var), str(var))
    try:
        # The daemon's open files are on the mount below, which stays writable: only a start sees the new one.
        world.kill()
        mount("-o", "remount,bind,ro", str(var))
        second = world.spawn()
        assert second.wait(60) == 74
        assert alive(pid)
    finally:
        subprocess.run(["umount", str(var)], check=True)
    world.start()
    held.release()
    assert world.wait("a") == {"a": "succeeded"}
    check(world)
