"""
The kill switch: everything stands still, reversibly, whatever was under way; and the end of agents that do not want to end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from harness.indoors import MovedClock, aside, serving, work_on
from kit.processes import of_runs, parent, until
from kit.script import DAY, ask, bash, gate, gate_command, question, say, scenario, task, write

from orchestrd.runner.sweep import end_heirs, end_shim
from orchestrd.storage.rundir import RunDir

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HOUR = 3600.0
STUBBORN = "trap '' TERM; setsid sh -c \"trap '' TERM; while :; do sleep 0.1; done\" & "


def still(world) -> dict[int, str]:
    """
    The processes of the runs, once every one of them stands still; empty until then.
    """
    # One that sleeps in the kernel (D) runs nothing of its own; whether it was stopped shows when it comes out.
    end = time.monotonic() + 30.0
    while "D" in (found := of_runs(world.root)).values():
        assert time.monotonic() < end, found
    return found if found and set(found.values()) <= {"T", "Z"} else {}


def at_rest(world) -> bool:
    """
    True when nothing of the runs runs.
    """
    return set(of_runs(world.root).values()) <= {"T", "Z"}


def moving(world) -> bool:
    return "T" not in of_runs(world.root).values()


def test_everything_stands_still_and_goes_on(make_world):
    world = make_world(
        [
            scenario("works", gate("tool"), write("done.txt", "done"), say("Done.")),
            scenario("later", say("Later.")),
        ],
        config={"max_concurrent_agents": 1},
        watched=True,
    )
    world.submit(task("works"), task("later"))
    tool = world.gate.arrive("tool")
    done = world.orchctl("freeze", "--json")
    assert done.code == 0, done
    began = time.monotonic()
    assert done.json["frozen"] is True
    assert done.json["recorded"] is True
    assert done.json["runs"] == [f"{DAY}/works/1"]
    # What is answered has been done: nothing is waited for here.
    trees = still(world)
    assert {world.agent_pid("works/1"), tool.pid} <= set(trees), of_runs(world.root)
    assert "frozen since" in world.status()["daemon"]["hold"]
    assert world.status()["daemon"]["frozen_since"] == done.json["since"]
    assert "frozen since" in world.orchctl("status").out
    assert world.orchctl("freeze", "--json").json["since"] == done.json["since"]
    assert len(world.events("home.frozen")) == 1
    # The tool is let go, but it is stopped: it cannot end.
    tool.release()
    world.rounds("freezer")
    assert still(world).keys() == trees.keys()
    # The next daemon keeps it so.
    world.kill()
    assert still(world).keys() == trees.keys()
    world.start()
    assert still(world).keys() == trees.keys()
    assert world.stop() == 0
    world.start()
    assert world.status()["daemon"]["frozen_since"] == done.json["since"]
    assert world.status("works")["why"] == "frozen; orchctl thaw"
    thawed = world.orchctl("thaw", "--json")
    span = time.monotonic() - began
    assert (thawed.code, thawed.json["frozen"], thawed.json["since"]) == (0, False, None)
    assert world.wait() == {"works": "succeeded", "later": "succeeded"}
    row = world.status("works")
    lasted = world.events("run.exited")[0]["at"] - world.events("run.started")[0]["at"]
    assert 0 < row["worked_seconds"] <= lasted - span + 1.0
    assert not [e for e in world.events("run.started") if e["at"] < world.events("home.thawed")[0]["at"]][1:]


def test_a_run_that_is_being_started_stands_still_as_well(make_world):
    """
    Frozen over and over while runs start: whatever was under way, it comes to rest, and nothing begins.
    """
    names = [f"t{number}" for number in range(7)]
    world = make_world(
        [scenario(name, bash("echo hi"), say("Done.")) for name in names],
        config={"max_concurrent_agents": len(names)},
        watched=True,
    )
    world.submit(*(task(name) for name in names[:2]))
    moments = ("run.started", "run.prepared", "run.initialised", "run.tool_called", "run.exited")
    for number, moment in enumerate(moments, 3):
        world.wait_event(moment)
        world.rpc("home.freeze")
        # One more, which has its slot, and waits.
        world.rpc("task.submit", path=str(world.day(*(task(name) for name in names[:number]))))
        world.rounds("freezer")
        # What was told to stop may still sleep in the kernel (D), and a shim that was under way bring its agent up later.
        until(lambda: at_rest(world))
        assert world.events("run.started", "home.frozen")[-1]["type"] == "home.frozen", moment
        world.rpc("home.thaw")
    assert world.wait() == dict.fromkeys(names, "succeeded")


@pytest.mark.anyio
async def test_a_time_limit_stands_still_and_an_answer_waits(make_world):
    clock = MovedClock()
    world = make_world(
        [
            scenario("asks", ask(question("Which?", "One", "Two")), {"when": {"result": "Two"}, **say("Two.")}),
            scenario("works", gate("tool"), say("Done.")),
        ],
        start=False,
        watched=True,
    )
    async with serving(world, clock):
        await aside(world.submit, task("asks"), task("works", timeout="1m"))
        await aside(world.wait_event, "question.asked")
        tool = await aside(world.gate.arrive, "tool")
        await aside(world.rpc, "home.freeze")
        assert (await aside(world.orchctl, "answer", "asks", "--option", "B")).code == 0
        await aside(world.wait_event, "question.delivered")
        # They look equally often.
        await work_on(world, clock, 80, sessions=2)
        assert world.events("run.stopping") == []
        assert still(world)
        tool.release()
        await aside(world.rpc, "home.thaw")
        assert await aside(world.wait) == {"asks": "succeeded", "works": "succeeded"}
    assert world.events("run.turn_ended", run=f"{DAY}/asks/1")[-1]["event"]["text"] == "Two."


@pytest.mark.anyio
async def test_limits_of_checks_and_setup_stand_still_too(make_world):
    clock = MovedClock()
    world = make_world(
        [scenario("a", say("Done."))],
        config={"worktree": {"setup": [gate_command("setup")], "setup_timeout": "30m"}},
        start=False,
        watched=True,
    )
    async with serving(world, clock):
        await aside(world.submit, task("a", checks=[{"run": gate_command("check"), "timeout": "30m"}]))
        for number, name in enumerate(("setup", "check")):
            held = await aside(world.gate.arrive, name)
            await aside(world.rpc, "home.freeze")
            assert held.pid in still(world)
            held.release()
            clock.pass_by(HOUR)
            # Whoever waits for a limit looks at the clock when something is recorded.
            await aside(world.submit, task("b", start_at="2036-11-22T00:00:00Z"), day=f"2026-11-2{3 + number}")
            await aside(world.rounds, "freezer")
            assert held.pid in still(world)
            await aside(world.rpc, "home.thaw")
        assert await aside(world.wait, f"{DAY}/a") == {"a": "succeeded"}
    assert world.gate.names == ["setup", "check"]


def test_checks_and_setup_stand_still_too(make_world):
    world = make_world(
        [scenario("a", say("Done."))],
        config={"worktree": {"setup": [gate_command("setup")]}},
        watched=True,
    )
    world.submit(task("a", checks=[{"run": gate_command("check")}]))
    setup = world.gate.arrive("setup")
    world.rpc("home.freeze")
    assert setup.pid in still(world)
    setup.release()
    world.rounds("freezer")
    assert setup.pid in still(world)
    world.rpc("home.thaw")
    check = world.gate.arrive("check")
    world.rpc("home.freeze")
    assert check.pid in still(world)
    check.release()
    world.rounds("freezer")
    assert check.pid in still(world)
    # Those of a daemon that died are ended, and begun again only after the thaw.
    world.kill()
    world.start()
    world.rounds("freezer")
    assert world.gate.names == ["setup", "check"]
    world.rpc("home.thaw")
    world.gate.arrive("check").release()
    assert world.wait() == {"a": "succeeded"}


def test_a_setup_that_stands_still_can_be_cancelled(make_world):
    world = make_world([scenario("a", say("Done."))], config={"worktree": {"setup": [gate_command("setup")]}})
    world.submit(task("a"))
    setup = world.gate.arrive("setup")
    world.rpc("home.freeze")
    assert world.orchctl("cancel", "a").code == 0
    assert setup.gone()
    assert world.wait() == {"a": "cancelled"}


def test_a_frozen_agent_is_cancelled_where_it_stands(make_world):
    world = make_world(
        [scenario("a", bash(f"{STUBBORN} {gate_command('stuck')}; touch went-on"), say("Never."))],
    )
    world.submit(task("a"))
    world.gate.arrive("stuck")
    world.rpc("home.freeze")
    assert still(world)
    assert world.orchctl("cancel", "a").code == 0
    assert world.wait() == {"a": "cancelled"}
    assert of_runs(world.root) == {}
    assert not (world.workspace("a") / "tree" / "went-on").exists()
    assert world.status()["daemon"]["frozen_since"] is not None
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


def test_frozen_without_a_daemon(make_world):
    world = make_world([scenario("a", gate("tool"), say("Done."))])
    world.submit(task("a"))
    tool = world.gate.arrive("tool")
    world.kill()
    began = time.monotonic()
    done = world.orchctl("freeze", "--json")
    took = time.monotonic() - began
    assert (done.code, done.json["frozen"], done.json["recorded"]) == (0, True, True), done
    assert tool.pid in still(world)
    assert took < 5, took
    world.start()
    assert tool.pid in still(world)
    assert world.status()["daemon"]["frozen_since"] == done.json["since"]
    world.kill()
    tool.release()
    done = world.orchctl("thaw", "--json")
    assert (done.code, done.json["frozen"]) == (0, False), done
    assert until(lambda: moving(world))
    world.start()
    assert world.wait() == {"a": "succeeded"}
    assert [e["type"] for e in world.events("home.frozen", "home.thawed")] == ["home.frozen", "home.thawed"]


def test_without_a_daemon_only_what_lives_is_counted(make_world):
    """
    An agent whose daemon was killed has died since: its run is open until the next daemon looks.
    """
    world = make_world([scenario("a", gate("here"), say("Done.")), scenario("b", gate("there"), say("Done."))])
    world.submit(task("a"), task("b"))
    here = world.gate.arrive("here")
    world.gate.arrive("there")
    world.kill()
    gone = RunDir(world.run_dir("b/1"))
    end_shim(gone)
    end_heirs(gone)
    assert until(lambda: not (gone.shim_alive() or gone.agent_alive()))
    frozen = world.orchctl("freeze", "--json")
    assert frozen.json["runs"] == [f"{DAY}/a/1"]
    assert here.pid in still(world)
    thawed = world.orchctl("thaw", "--json")
    assert thawed.json["runs"] == [f"{DAY}/a/1"]
    here.release()


def test_frozen_beside_a_damaged_journal(make_world):
    """
    Neither the freeze nor the thaw can be recorded, and both are done.
    """
    world = make_world([scenario("a", gate("tool"), say("Done."))])
    world.submit(task("a"))
    tool = world.gate.arrive("tool")
    world.kill()
    database = world.home / "var" / "orchestrd.db"
    whole = database.read_bytes()
    database.write_bytes(b"no database" * 1000)
    done = world.orchctl("freeze", "--json")
    assert (done.code, done.json["recorded"]) == (0, False), done
    assert tool.pid in still(world)
    done = world.orchctl("thaw", "--json")
    assert (done.code, done.json["recorded"]) == (0, False), done
    assert "Everything goes on, but not recorded" in done.json["notes"][0]
    assert until(lambda: moving(world))
    # Nothing was stopped beside it: then it is the journal that knows.
    assert world.orchctl("thaw").code == 4
    database.write_bytes(whole)
    tool.release()
    world.start()
    assert world.wait() == {"a": "succeeded"}
    assert world.events("home.frozen", "home.thawed") == []


def test_frozen_beside_a_daemon_that_hangs(make_world):
    world = make_world([scenario("a", gate("tool"), say("Done."))])
    world.submit(task("a"))
    tool = world.gate.arrive("tool")
    os.kill(world.daemon.pid, signal.SIGSTOP)
    done = world.orchctl("freeze")
    assert done.code == 0, done
    assert f"process {world.daemon.pid} holds this home and does not answer" in done.out
    assert "not recorded" in done.out
    assert tool.pid in still(world)
    assert world.events("home.frozen") == []
    refused = world.orchctl("cancel", "a", timeout=200)
    assert refused.code == 4, refused
    assert str(world.daemon.pid) in refused.err
    # Once it answers again it takes note, and keeps what was done.
    os.kill(world.daemon.pid, signal.SIGCONT)
    world.wait_event("home.frozen")
    assert tool.pid in still(world)
    until(lambda: not (world.home / "var" / "freeze").exists())
    # What it was asked meanwhile it does, too.
    assert world.wait() == {"a": "cancelled"}
    assert of_runs(world.root) == {}


def test_a_note_that_is_no_file_holds_nobody_up(make_world):
    world = make_world([])
    os.mkfifo(world.home / "var" / "freeze")
    assert world.wait_event("home.frozen")["event"]["by"] == "unknown"
    assert world.rpc("daemon.status")["hold"].startswith("frozen since")
    until(lambda: not (world.home / "var" / "freeze").exists())


@pytest.mark.parametrize("daemon", ["alive", "dead"])
def test_an_agent_that_does_not_listen_is_killed_after_the_grace(make_world, daemon):
    world = make_world(
        [scenario("a", bash(f"{STUBBORN} {gate_command('stuck')}"), say("Never.")), scenario("b", say("Never."))],
        config={"agent": {"stop_grace": "2s"}, "max_concurrent_agents": 1},
    )
    world.submit(task("a"), task("b"))
    world.gate.arrive("stuck")
    # The agent itself does not listen either: it cannot while it is stopped, and nobody froze it.
    os.kill(world.agent_pid("a/1"), signal.SIGSTOP)
    if daemon == "dead":
        world.kill()
    began = time.monotonic()
    done = world.orchctl("cancel", "--all", "--json")
    assert done.code == 0, done
    assert sorted(done.json["changed"]) == [f"{DAY}/a", f"{DAY}/b"]
    if daemon == "dead":
        assert of_runs(world.root) == {}
        assert f"{DAY}/a: its agent was ended" in done.json["notes"]
        # Not settled: that is for the next daemon, which reads the stream to its end.
        assert world.events("run.exited") == []
        world.start()
    assert world.wait() == {"a": "cancelled", "b": "cancelled"}
    assert time.monotonic() - began >= 2.0
    assert of_runs(world.root) == {}
    exited = world.events("run.exited")
    assert [e["event"]["outcome"] for e in exited] == ["killed"]
    assert exited[0]["event"]["signal"] == signal.SIGKILL
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


def test_an_agent_that_listens_accounts_for_its_turn_without_a_daemon(make_world):
    world = make_world([scenario("a", bash("echo 1"), gate("tool"), say("Never."))])
    world.submit(task("a"))
    world.gate.arrive("tool")
    world.kill()
    done = world.orchctl("cancel", "a")
    assert done.code == 0, done
    assert of_runs(world.root) == {}
    lines = [json.loads(line) for line in (world.run_dir("a/1") / "stdout.jsonl").read_bytes().splitlines()]
    assert lines[-1]["type"] == "result" or any(line["type"] == "result" for line in lines)
    world.start()
    assert world.wait() == {"a": "cancelled"}
    settled = world.events("run.spend_settled")
    assert settled[-1]["event"]["source"] == "result"
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


@pytest.mark.anyio
async def test_without_its_shim_an_agent_is_ended_as_well(make_world):
    world, clock = make_world([scenario("a", gate("tool"), say("Never."))], watched=True), MovedClock()
    world.submit(task("a"))
    tool = world.gate.arrive("tool")
    agent = world.agent_pid("a/1")
    shim = parent(agent)
    assert shim is not None
    world.kill()
    os.kill(shim, signal.SIGKILL)
    assert world.orchctl("freeze").code == 0
    assert {agent, tool.pid} <= set(still(world))
    # A frozen one is not counted down for its shim's death.
    async with serving(world, clock):
        await aside(world.rounds, "session")
        clock.pass_by(HOUR)
        await aside(world.rounds, "session")
        assert {agent, tool.pid} <= set(still(world))
    done = world.orchctl("cancel", "a", "--json")
    assert done.code == 0, done
    assert of_runs(world.root) == {}
    world.start()
    assert world.wait() == {"a": "cancelled"}


def test_a_daemon_that_starts_meanwhile_goes_on_with_it(make_world):
    world = make_world(
        [scenario("a", bash(f"{STUBBORN} {gate_command('stuck')}"), say("Never."))],
        config={"agent": {"stop_grace": "5s"}},
    )
    world.submit(task("a"))
    world.gate.arrive("stuck")
    os.kill(world.agent_pid("a/1"), signal.SIGSTOP)
    world.kill()
    command = [sys.executable, "-m", "orchctl", "--home", str(world.home), "cancel", "a"]
    with subprocess.Popen(command, env=world.environ, stdout=subprocess.PIPE) as cancelling:
        until(lambda: world.events("run.stopping"))
        world.start()
        assert cancelling.wait(60) == 0
    assert world.wait() == {"a": "cancelled"}
    assert of_runs(world.root) == {}
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)
