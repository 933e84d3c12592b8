"""
A home where no agent could run says so at once, keeps nothing, and works as soon as it is mended.
"""

from __future__ import annotations

from pathlib import Path

import claude_agent_sdk
import pytest
from kit.script import DAY, say, scenario, task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

OLD = "#!/bin/sh\necho '1.0.0 (Claude Code)'\n"


def refused(world, *words: str) -> None:
    """
    Submitting is refused with a message that holds *words*, and leaves nothing behind.
    """
    path = world.day(task("a"))
    before = world.events()
    done = world.orchctl("submit", str(path))
    assert done.code == 4, done
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done
    assert world.events() == before
    assert world.status()["tasks"] == []
    assert world.status()["daemon"]["hold"]
    assert not (world.home / "var" / "agent_workspaces" / DAY).exists()
    # A dry run needs no agent.
    assert world.orchctl("submit", str(path), "--dry-run").code == 0


def test_a_missing_and_an_old_cli_mended_without_a_restart(make_world):
    world = make_world([scenario("a", say("Done."))], config={"agent": {"binary": "bin/claude"}})
    refused(world, "bin/claude", "not an executable file", "orchestrd.yaml")
    doctor = world.orchctl("doctor")
    assert doctor.code == 1
    assert "not an executable file" in doctor.out + doctor.err
    binary = world.home / "bin" / "claude"
    binary.parent.mkdir()
    binary.write_text(OLD)
    binary.chmod(0o755)
    refused(world, "1.0.0", "at least 2.1.", "Update it")
    binary.unlink()
    binary.symlink_to(Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude")
    assert world.submit(task("a"))["accepted"] == ["a"]
    assert world.wait() == {"a": "succeeded"}
    assert world.orchctl("doctor").code == 0


def test_without_an_account(make_world):
    world = make_world([scenario("a", say("Done."))], env={"ANTHROPIC_API_KEY": None})
    refused(world, "not logged in", "ANTHROPIC_API_KEY")
    assert world.stop() == 0
    world.set_env(ANTHROPIC_API_KEY="sk-rehearsal")
    world.start()
    assert world.submit(task("a"))["accepted"] == ["a"]
    assert world.wait() == {"a": "succeeded"}


def test_a_home_that_cannot_work_does_not_start(make_world):
    world = make_world([], start=False)
    world.configure(max_concurent_agents=3)
    assert world.spawn().wait(30) == 78
    log = (world.root / "daemon.log").read_text()
    assert "max_concurrent_agents" in log
    assert "orchestrd.yaml:" in log
    assert "Traceback" not in log
    assert world.orchctl("status").code in {2, 3}
