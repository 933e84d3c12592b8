"""
Runs that end otherwise than well: cancelled, out of time, crashed, and with processes left behind.
"""

from __future__ import annotations

import json
import os
import signal

import pytest
from kit.files import wait_file
from kit.processes import alive, belonging
from kit.script import DAY, ask, bash, call, gate, gate_command, question, say, scenario, task, use, write

SUICIDE = "python3 -c \"import os; os.kill(int(os.environ['CLAUDE_PID']), 9)\""
"""No policy that reads command lines sees everything."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_cancel(make_world):
    """
    A live task, a waiting one, a queued one, and one that is over.
    """
    world = make_world(
        [
            scenario("over", say("Done.")),
            scenario(
                "live",
                write("kept.txt", "kept"),
                bash(f"setsid {gate_command('escaped')} & {gate_command('held')}; wait"),
                say("never"),
            ),
            scenario("waiting", ask(question("Which?", "One", "Two")), say("never")),
            scenario("queued", say("never")),
        ],
        config={"max_concurrent_agents": 2},
    )
    world.submit(
        task("over", priority="urgent"),
        task("live"),
        task("waiting"),
        task("queued"),
        task("last", depends_on=["live"]),
    )
    held, escaped = world.gate.arrive("held"), world.gate.arrive("escaped")
    world.wait_event("question.asked")
    process = json.loads((world.run_dir("live/1") / "process.json").read_text())
    done = world.orchctl("cancel", "live", "waiting", "queued", "over", "--json")
    assert done.code == 0, done
    assert sorted(done.json["changed"]) == sorted(f"{DAY}/{name}" for name in ("live", "waiting", "queued"))
    assert done.json["notes"] == ["over has ended already: it is succeeded"]
    # The whole tree, also what made itself a session of its own.
    assert held.gone()
    assert escaped.gone()
    assert world.wait() == {
        "over": "succeeded",
        "live": "cancelled",
        "waiting": "cancelled",
        "queued": "cancelled",
        "last": "queued",
    }
    assert not alive(process["agent"])
    assert not alive(process["shim"])
    assert world.agents() == []
    assert [words for _, words in belonging(world.root) if "gate.py" in words] == []
    shown = {t["id"]: t for t in world.status()["tasks"]}
    assert shown["live"]["outcome"] is None or shown["live"]["outcome"] == "killed"
    assert shown["queued"]["attempts"] == 0
    assert shown["last"]["why"] == "needs live, which was cancelled"
    assert [q["state"] for q in world.orchctl("questions", "--all", "--json").json] == ["withdrawn"]
    assert world.orchctl("answer", "waiting", "A").code == 5
    # What was done until then is kept, and can be looked at.
    assert "kept.txt" in world.orchctl("diff", "live").out
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)
    assert world.orchctl("cancel", "live").code == 0
    assert world.orchctl("cancel", "nobody").code == 5


def test_a_task_runs_out_of_time(make_world):
    world = make_world([scenario("slow", write("part.txt", "part"), gate("long"), say("never"))])
    world.submit(task("slow", timeout="10s"))
    held = world.gate.arrive("long")
    assert held.gone()
    assert world.wait() == {"slow": "failed"}
    shown = world.status("slow")
    assert (shown["outcome"], shown["attempts"]) == ("timed_out", 1)
    assert "time limit" in shown["why"]
    assert 10.0 <= shown["worked_seconds"] < 60
    assert world.agents() == []
    assert "part.txt" in world.orchctl("diff", "slow").out
    assert "timed_out" in world.orchctl("report").out
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


def test_an_agent_that_kills_itself_is_tried_again_and_then_given_up(make_world):
    world = make_world(
        [
            scenario("suicide", bash(SUICIDE, delay=0.2), bash(SUICIDE), say("never")),
        ],
        config={"retries": 1},
    )
    world.submit(task("suicide"))
    assert world.wait() == {"suicide": "failed"}
    shown = world.status("suicide")
    assert (shown["outcome"], shown["attempts"]) == ("killed", 2)
    exits = [e["event"] for e in world.events("run.exited")]
    assert [(e["outcome"], e["signal"]) for e in exits] == [("killed", 9), ("killed", 9)]
    assert world.agents() == []


def test_an_agent_that_is_told_to_end_as_at_a_shutdown_is_resumed(make_world):
    """
    It exits with status 143 and accounts for nothing; its own books are carried over into the next process.
    """
    world = make_world([scenario("a", write("a.txt", "a"), gate("working"), bash("cat a.txt"), say("Done."))])
    world.submit(task("a"))
    held = world.gate.arrive("working")
    world.wait_transcript("a/1", ("a", 1))
    os.kill(world.agent_pid("a/1"), signal.SIGTERM)
    assert held.gone()
    exited = world.wait_event("run.exited")["event"]
    assert (exited["outcome"], exited["exit_code"]) == ("killed", 143)
    again = world.wait_event("run.started", attempt=2)["event"]
    assert again["resumes"]
    assert world.wait() == {"a": "succeeded"}
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


def test_what_an_agent_leaves_behind_is_ended_and_reported(make_world):
    world = make_world(
        [
            scenario(
                "messy", bash(f"setsid nohup {gate_command('left')} >/dev/null 2>&1 & echo started"), say("Done.")
            ),
        ]
    )
    world.submit(task("messy"))
    left = world.gate.arrive("left")
    assert left.gone(), "a process outlived its run"
    assert world.wait() == {"messy": "succeeded"}
    assert world.events("run.exited")[0]["event"]["leftovers"] == 1
    assert not alive(left.pid)
    assert "1 processes left behind were ended" in world.orchctl("report").out


def test_a_server_in_the_background_does_not_hold_a_finished_agent(make_world):
    """
    An idle one; the result counts, and what was left is told of.
    """
    world = make_world(
        [
            scenario(
                "serves",
                call(use("Bash", command=gate_command("server"), description="serve", run_in_background=True)),
                write("a.txt", "a"),
                say("Done. The server runs."),
            ),
        ],
        config={"agent": {"silence_limit": "15s"}},
    )
    world.submit(task("serves", timeout="10m"))
    server = world.gate.arrive("server")
    world.wait_event("run.turn_ended")
    assert world.wait() == {"serves": "succeeded"}
    exited = world.events("run.exited")
    assert [e["event"]["outcome"] for e in exited] == ["succeeded"]
    assert exited[0]["event"]["leftovers"] >= 1
    assert not alive(server.pid)
    assert world.agents() == []
    assert "processes left behind were ended" in world.orchctl("report").out
    assert (world.events("run.stopping"), world.status("serves")["attempts"]) == ([], 1)


@pytest.mark.parametrize("beat", ["pings", "empty"])
def test_a_stream_that_is_only_kept_open_is_a_hang(make_world, beat):
    """
    It is seen at the limit of silence, and the conversation is taken up again.
    """
    world = make_world(
        [scenario("mute", bash("echo hi"), {"hang": beat, **say("Now there is more to be said.")}, say("Done."))],
        config={"agent": {"silence_limit": "15s"}},
    )
    world.submit(task("mute", timeout="10m"))
    stopping = world.wait_event("run.stopping")["event"]
    assert (stopping["outcome"], stopping["reason"]) == ("stalled", "it gave no sign of life for 15 s")
    # The CLI hands on one ping in ten seconds.
    heard = (world.run_dir("mute/1") / "stdout.jsonl").read_bytes()
    assert (b'"type":"ping"' if beat == "pings" else b'"text":""') in heard
    assert world.wait() == {"mute": "succeeded"}
    assert world.status("mute")["attempts"] == 2


@pytest.mark.parametrize("written", [False, True])
def test_an_answer_in_flight_when_the_agent_dies_is_asked_again(make_world, written):
    """
    Killed before its first answer came, and before or after the CLI had the conversation on disk: it is resumed when it
    can be, and begun anew when it cannot.
    """
    world = make_world([scenario("early", {"hang": True, **write("a.txt", "a")}, say("Done."))])
    world.submit(task("early"))
    world.wait_event("run.spend_seen")
    session = world.events("run.started")[0]["event"]["session"]
    projects = world.claude / ".claude" / "projects"
    if written:
        folder = "".join(c if c.isalnum() else "-" for c in str(world.workspace("early") / "tree"))
        wait_file(projects / folder / f"{session}.jsonl", lambda data: b'"type":"user"' in data)
    pid = world.agent_pid("early/1")
    os.kill(pid, signal.SIGKILL)
    world.wait_event("run.exited")
    on_disk = any(b'"type":"user"' in path.read_bytes() for path in projects.glob(f"*/{session}.jsonl"))
    assert on_disk or not written
    again = world.wait_event("run.started", attempt=2)["event"]
    assert (again["resumes"], again["session"] == session) == (on_disk, on_disk)
    assert world.wait() == {"early": "succeeded"}
    assert world.status("early")["attempts"] == 2
    assert (world.workspace("early") / "tree" / "a.txt").exists()
