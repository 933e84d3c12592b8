"""
A model that does not say what it uses: what it spends cannot be known, so nothing goes on until the person has said so.
"""

from __future__ import annotations

import pytest
from kit.script import DAY, bash, gate, say, scenario, task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NOTHING = {"input": 0, "output": 0}
INPUT_ONLY = {"input": 1, "output": 0}


def test_nothing_starts_while_the_cost_cannot_be_known(make_world):
    world = make_world(
        [
            scenario("a", *(bash(f"echo {n}", usage=NOTHING) for n in range(5)), say("Done.", usage=NOTHING)),
            scenario("b", gate("b", usage=NOTHING), say("Done.", usage=NOTHING)),
            scenario("c", say("Done.")),
        ],
        config={"max_concurrent_agents": 2},
    )
    world.submit(task("a"), task("b"), task("c"))
    world.wait_event("run.exited", run=f"{DAY}/a/1")
    # Of its two answers nobody knows what they cost; the third was never asked for.
    assert len([e for e in world.ledger() if e["scenario"] == "a"]) == 2
    exited = world.wait_event("run.exited", run=f"{DAY}/b/1")["event"]
    assert exited["cause"] == "unmetered"
    assert world.agents() == []
    (asked,) = world.orchctl("questions", "--json").json
    assert asked["text"].startswith("Everything stands still: what agents spend cannot be known (the model answers ")
    assert "budget.unmetered" in asked["text"]
    assert "what agents spend cannot be known" in world.orchctl("why", "c").out
    assert {t["id"]: t["state"] for t in world.status()["tasks"]} == dict.fromkeys("abc", "queued")

    # Tried again, one alone tries, with the same result.
    assert world.orchctl("answer", DAY, "Try again").code == 0
    world.wait_event("question.asked", lambda body: body["question"] == f"{DAY}/_account#2")
    assert len(world.events("run.started")) == 3
    assert world.status("a")["attempts"] + world.status("b")["attempts"] == 3

    # Allowed by the person, they go on where they were.
    world.kill()
    world.configure(max_concurrent_agents=2, budget={"unmetered": True})
    world.start()
    world.gate.arrive("b").release()
    assert world.wait() == dict.fromkeys("abc", "succeeded")
    assert world.orchctl("questions", "--json").json == []
    assert world.status()["cost"]["spent_usd"] == pytest.approx(world.truth("c") / 1e9)


@pytest.mark.parametrize("told", [NOTHING, INPUT_ONLY], ids=["nothing", "no output"])
def test_a_task_that_is_done_with_one_such_answer(make_world, told):
    """
    Its work is not lost, and nothing else starts.
    """
    world = make_world([scenario("a", say("Done.", usage=told)), scenario("b", say("Done.", usage=told))])
    world.submit(task("a"), task("b", depends_on=["a"]))
    assert world.wait_event("run.exited")["event"]["cause"] == "unmetered"
    assert world.wait_event("question.asked")["event"]["question"] == f"{DAY}/_account#1"
    assert [t["state"] for t in world.status()["tasks"]] == ["queued", "blocked"]
    assert world.agents() == []


@pytest.mark.parametrize("given", ["msg_one", ""])
def test_answers_without_an_id_of_their_own_are_so_many_answers(make_world, given):
    steps = (bash(f"echo {n}", usage=NOTHING, message_id=given) for n in range(5))
    world = make_world([scenario("a", *steps, say("Done."))], config={"retries": 0})
    world.submit(task("a"))
    assert world.wait_event("run.exited")["event"]["cause"] == "unmetered"
    assert len([e for e in world.ledger() if e["scenario"] == "a"]) <= 3
