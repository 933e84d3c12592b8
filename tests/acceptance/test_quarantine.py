"""
A conversation that cannot be taken up again is set aside: the task starts afresh, once, and says so.
"""

from __future__ import annotations

import json
import os
import signal

import pytest
from kit.script import bash, gate, say, scenario, task, write
from kit.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def lose_everything(world: World, run: str) -> None:
    """
    Daemon, shim, agent and its command die together.
    """
    held = world.gate.arrive("working")
    world.wait_transcript(run, (run.partition("/")[0], 1))
    process = json.loads((world.run_dir(run) / "process.json").read_text())
    world.kill()
    for pid in (process["shim"], process["agent"], held.pid):
        os.kill(pid, signal.SIGKILL)
    assert held.gone()


def spoil(world: World) -> None:
    """
    Leave of the conversation what still looks like one, and is none.
    """
    session = world.events("run.started")[0]["event"]["session"]
    path = next((world.claude / ".claude" / "projects").glob(f"*/{session}.jsonl"))
    path.write_text('{"type":"user"\n', encoding="utf-8")


def test_a_spoilt_conversation_starts_afresh_and_says_so(make_world):
    world = make_world(
        [scenario("a", write("a.txt", "a"), gate("working"), bash("cat a.txt"), say("Done."))], config={"retries": 1}
    )
    world.submit(task("a"))
    lose_everything(world, "a/1")
    spoil(world)
    world.start()
    world.gate.arrive("working").release()
    assert world.wait() == {"a": "succeeded"}
    exited = [e["event"] for e in world.events("run.exited")]
    assert [(e["outcome"], e.get("quarantined", False)) for e in exited] == [
        ("abandoned", False),
        ("failed", True),
        ("succeeded", False),
    ]
    assert "could not be taken up again" in exited[1]["reason"]
    started = [e["event"] for e in world.events("run.started")]
    assert [e.get("resumes", False) for e in started] == [False, True, False]
    assert started[2]["session"] != started[0]["session"]
    assert "a conversation could not be taken up again and was set aside" in world.orchctl("report").out
    # Setting it aside was no failure of the task: with one retry in all, the abandoned run has used it.
    assert world.status("a")["attempts"] == 3


def test_a_conversation_that_the_api_refuses_starts_afresh(make_world):
    """
    It is on disk and the CLI takes it up; the service refuses it whenever it is sent.  (Refused once, it is sent again in
    another form; one that is too long is compacted: Claude Code 2.1.330.)
    """
    error = {"status": 400, "type": "invalid_request_error", "message": "tool_use ids must be unique", "times": 1000}
    refused = {"when": {"user": " again"}, "error": error, **say("never")}
    world = make_world(
        [scenario("a", write("a.txt", "a"), gate("working"), refused, bash("cat a.txt"), say("Done."))],
        config={"retries": 1},
    )
    world.submit(task("a"))
    lose_everything(world, "a/1")
    world.start()
    world.gate.arrive("working").release()
    assert world.wait() == {"a": "succeeded"}
    exited = [e["event"] for e in world.events("run.exited")]
    assert [(e["outcome"], e.get("quarantined", False)) for e in exited] == [
        ("abandoned", False),
        ("failed", True),
        ("succeeded", False),
    ]
    assert [e["event"].get("resumes", False) for e in world.events("run.started")] == [False, True, False]
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


def test_an_account_without_credit_is_no_conversation_s_fault(make_world):
    """
    The service answers 400 then too: nothing is set aside, and the person is asked; once it is put right the conversation goes on.
    """
    refused = {
        "when": {"user": " again"},
        "error": {"status": 400, "message": "Your credit balance is too low to access the API."},
        **say("never"),
    }
    world = make_world(
        [scenario("a", write("a.txt", "a"), gate("working"), refused, say("Done."))], config={"retries": 1}
    )
    world.submit(task("a"))
    lose_everything(world, "a/1")
    world.start()
    assert world.wait() == {"a": "queued"}
    exited = [e["event"] for e in world.events("run.exited")]
    assert [(e["cause"], e.get("quarantined", False)) for e in exited] == [("vanished", False), ("unpaid", False)]
    assert "credit balance" in world.status("a")["why"].lower()
    asked = world.status()["asks"][0]
    assert asked["text"].startswith("Everything stands still: the account has no credit (")
    assert world.orchctl("answer", "_account", "--option", "A").code == 0
    assert world.wait() == {"a": "succeeded"}
    assert [e["event"]["resumes"] for e in world.events("run.started")] == [False, True, True]
    assert world.events("account.opened")


def test_what_is_waited_for_is_tried_when_the_person_wants_it(make_world):
    """
    The service wants an hour of peace; the person knows better, and says so once.
    """
    limited = {"error": {"status": 429, "headers": {"x-should-retry": "false"}, "message": "come back later"}}
    world = make_world([scenario("a", bash("echo 1"), limited, say("Through."))], config={"busy_pause": "1h"})
    assert world.orchctl("retry", "--account").code == 4
    world.submit(task("a"))
    world.wait_event("account.blocked")
    world.wait_event("task.requeued")
    told = "have it tried now: orchctl retry --account"
    assert told in world.orchctl("why", "a").out
    assert told in world.rpc("task.status")["account"]
    first = world.rpc("account.retry", request_id="mine")
    assert (first["changed"], first["cause"]) == (True, "rate_limit")
    assert world.rpc("account.retry", request_id="mine") == first
    assert world.wait() == {"a": "succeeded"}
    assert len(world.events("account.retried")) == len(world.events("account.opened")) == 1
    assert world.rpc("task.status")["account"] == ""
    assert world.orchctl("retry", "--account").code == 4
