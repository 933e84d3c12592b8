"""
Limits on money hold while agents run.
"""

from __future__ import annotations

import os
import signal

import pytest
from kit.processes import until
from kit.script import DAY, ask, bash, call, gate, question, say, scenario, task, use, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CENTS = {"input": 2495, "output": 1}
"""An answer for exactly one cent."""


def test_the_limit_of_the_day(make_world):
    """
    8 cents for the day: one task spends 6 and stays at work, the next crosses the threshold and then the limit.  The person
    is asked once, and with their answer everything goes on where it stood.
    """
    world = make_world(
        [
            scenario("steady", gate("steady", usage={"input": 14995, "output": 1}), say("Done.", usage=CENTS)),
            scenario(
                "spender",
                gate("quiet", usage={"input": 245, "output": 1}),
                bash("echo warn", usage={"input": 495, "output": 1}),
                gate("warned", usage={"input": 495, "output": 1}),
                write("half.txt", "half", usage={"input": 3995, "output": 1}),
                gate("over", usage={"input": 4995, "output": 1}),
                say("All of it.", usage=CENTS),
            ),
            scenario("later", say("Later.", usage=CENTS)),
        ],
        config={"max_concurrent_agents": 2, "cost_warning_threshold": 0.75},
    )
    tasks = [task("steady"), task("spender"), task("later")]
    world.submit(*tasks, max_cost_usd=0.08)
    steady = world.gate.arrive("steady")
    world.gate.arrive("quiet").release()
    warned = world.wait_event("day.limit_warned", day=DAY)
    assert 0.75 <= warned["event"]["spent"] / warned["event"]["limit"] < 1
    assert warned["event"]["limit"] == 80_000_000
    # A warning stops nobody.
    held = world.gate.arrive("warned")
    assert not world.events("run.stopping")
    assert len(world.agents()) == 2
    held.release()
    reached = world.wait_event("day.limit_reached", day=DAY)
    assert reached["event"]["spent"] >= 80_000_000
    # With the very reading that reached it, every agent is to stop and the person is asked.
    seqs = {e["type"]: e["seq"] for e in world.events("run.stopping", "question.asked")}
    assert max(seqs.values()) - reached["seq"] == 3
    assert steady.gone(), "an agent at work was not halted"
    states = world.wait()
    assert states == {"steady": "queued", "spender": "queued", "later": "queued"}
    assert world.agents() == []
    shown = {t["id"]: t for t in world.status()["tasks"]}
    assert {shown[name]["outcome"] for name in ("steady", "spender")} == {"over_budget"}
    assert all(t["why"].startswith("the day's limit of $0.08 is used up") for t in shown.values())
    assert shown["later"]["attempts"] == 0
    assert len(world.events("day.limit_warned")) == len(world.events("day.limit_reached")) == 1
    assert not [e for e in world.events("run.started") if e["seq"] > reached["seq"]]
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)
    report = world.orchctl("report").out
    assert "The day's limit was reached; agents were halted." in report

    (asked,) = world.orchctl("questions", "--json").json
    assert (asked["id"], asked["task"]) == (f"{DAY}/_day#1", f"{DAY}/_day")
    assert asked["text"].startswith("The limit of $0.08 for 2026-11-22 is used up: $0.08 are spent. Stopped")
    assert [option["label"] for option in asked["options"]] == ["+$5.00", "Finish what was begun", "Stop for today"]
    assert "orchctl answer _day " in (world.home / f"var/agent_questions/{DAY}/_day.md").read_text()
    refused = world.orchctl("answer", DAY, "maybe")
    assert refused.code == 4
    assert "Say one of: +$5.00; Finish what was begun; Stop for today; or a sum, such as +12.50." in refused.err
    before = len(world.events("run.started"))
    assert world.orchctl("answer", DAY, "--option", "A").code == 0
    assert world.orchctl("answer", DAY, "+7").code == 4, "the first answer wins"
    # More than what was spent beyond the limit.
    spent = reached["event"]["spent"] / 1e9
    assert world.status()["cost"]["limit_usd"] == pytest.approx(spent + 5, abs=0.03)
    world.gate.arrive("over").release()
    assert world.wait() == {"steady": "succeeded", "spender": "succeeded", "later": "succeeded"}
    assert len(world.events("run.started")) == before + 3
    resumed = [e["event"] for e in world.events("run.started")][-3:]
    assert {e["run"].split("/")[1]: e["resumes"] for e in resumed} == {"steady": True, "spender": True, "later": False}
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)
    assert [t["attempts"] for t in world.status()["tasks"]] == [2, 2, 1]


def cents(number: int) -> dict[str, int]:
    return {"input": 2500 * number - 5, "output": 1}


def test_the_last_of_a_limit_is_for_summaries(make_world):
    """
    A dollar for the day: where two more responses would pass it, the agent gets no further tool call, says where it stands,
    and goes on from there once there is more.
    """
    world = make_world(
        [
            scenario(
                "worker",
                bash("echo one > one.txt", usage=cents(80)),
                bash("true", usage=cents(5)),
                bash("echo two > two.txt", usage=cents(3)),
                bash("echo three > three.txt", usage=cents(4)),
                {**say("Two of three are done.", usage=cents(1)), "when": {"result": "Call no further tool"}},
                bash("echo three > three.txt", usage=cents(1)),
                say("All three.", usage=cents(1)),
            ),
        ],
    )
    world.submit(task("worker"), max_cost_usd=1.00)
    assert world.wait() == {"worker": "queued"}
    reached = world.wait_event("day.limit_reached", day=DAY)["event"]
    assert (reached["spent"], reached["limit"]) == (pytest.approx(920_000_000, abs=1e5), 1_000_000_000)
    assert not world.events("run.stopping"), "it was not interrupted"
    (curtailed,) = world.events("run.curtailed")
    assert curtailed["event"]["cause"] == "day_limit"
    exited = world.events("run.exited")[-1]["event"]
    assert (exited["outcome"], exited["cause"]) == ("over_budget", "day_limit")
    assert world.status("worker")["cost_usd"] == pytest.approx(0.93, abs=1e-6)
    assert world.truth() == pytest.approx(930_000_000, abs=1000)
    tree = world.workspace("worker") / "tree"
    assert [(tree / f"{name}.txt").exists() for name in ("one", "two", "three")] == [True, True, False]
    assert "Two of three are done." in world.orchctl("report").out
    assert world.orchctl("answer", DAY, "finish what was begun").code == 0
    raised = world.wait_event("day.limit_raised")["event"]
    assert (raised["amount"], raised["begun_only"]) == (pytest.approx(3_000_000_000, abs=1e7), True)
    assert world.wait() == {"worker": "succeeded"}
    assert (tree / "three.txt").read_text() == "three\n"
    assert world.truth() == pytest.approx(950_000_000, abs=1000)


def test_what_was_begun_is_finished_with_one_answer(make_world):
    """
    Five tasks cost a cent each, and that is what such a task is expected to cost: one that has cost more goes on to its end.
    """
    cheap = [f"c{n}" for n in range(5)]
    big = scenario("big", *[bash(f"echo {n}", usage=CENTS) for n in range(12)], say("Big is done.", usage=CENTS))
    world = make_world(
        [*(scenario(name, say("Done.", usage=CENTS)) for name in cheap), big], config={"max_concurrent_agents": 1}
    )
    world.submit(*map(task, cheap), task("big"), max_cost_usd=0.10)
    assert world.wait()["big"] == "queued"
    (asked,) = world.orchctl("questions", "--json").json
    assert asked["options"][1]["description"].startswith("at most $3.0")
    assert world.orchctl("answer", DAY, "--option", "B").code == 0
    assert set(world.wait().values()) == {"succeeded"}
    assert len(world.events("question.asked")) == 1
    assert world.truth() == pytest.approx(180_000_000, abs=1000)


def test_one_that_goes_on_with_more_money_is_done_once_it_says_so(make_world):
    """
    A call is denied for want of money; before the agent has said where it stands there is more, and it goes on.
    """
    asks = {**ask(question("And now?", "Go on", "Stop"), usage=cents(1)), "when": {"result": "Call no further tool"}}
    world = make_world(
        [
            scenario(
                "worker",
                bash("echo one > one.txt", usage=cents(80)),
                bash("true", usage=cents(5)),
                bash("true", usage=cents(3)),
                bash("echo two > two.txt", usage=cents(4)),
                asks,
                bash("echo two > two.txt", usage=cents(1)),
                say("Both.", usage=cents(1)),
            ),
        ],
    )
    world.submit(task("worker"), max_cost_usd=1.00)
    world.wait_event("question.asked", run=f"{DAY}/worker/1")
    assert world.events("run.curtailed")
    assert world.orchctl("answer", DAY, "+5").code == 0
    assert world.orchctl("answer", "worker", "Go on").code == 0
    assert world.wait() == {"worker": "succeeded"}
    assert (
        len(world.events("run.curtailed")) == len(world.events("run.relieved")) == len(world.events("run.started")) == 1
    )
    assert world.status("worker")["attempts"] == 1
    assert (world.workspace("worker") / "tree/two.txt").read_text() == "two\n"
    assert world.truth() == pytest.approx(world.status()["cost"]["spent_usd"] * 1e9, abs=1000)


def test_what_is_known_to_be_too_dear_is_not_taken_up_again(make_world):
    """
    A task's last response cost 40 cents when its agent dies, and 30 of the day's are left.
    """
    world = make_world(
        [
            scenario(
                "big",
                bash("true", usage=cents(30)),
                gate("dies", usage=cents(40)),
                bash("true", usage=cents(40)),
                say("Done.", usage=cents(1)),
            )
        ],
        config={"budget": {"reserve": {"medium": 0.1}}},
    )
    world.submit(task("big"), max_cost_usd=1.00)
    held = world.gate.arrive("dies")
    until(lambda: world.status("big")["cost_usd"] > 0.69)
    os.kill(world.agent_pid("big/1"), signal.SIGKILL)
    held.close()
    assert world.wait() == {"big": "queued"}
    assert world.truth() == pytest.approx(700_000_000, abs=1000), "it was taken up again, and the limit passed"
    (asked,) = world.orchctl("questions", "--json").json
    assert " is not enough for what comes next: $0.70 are spent." in asked["text"]
    assert world.orchctl("answer", DAY, "+0.50").code == 0
    assert world.wait() == {"big": "succeeded"}
    assert [e["event"]["resumes"] for e in world.events("run.started")] == [False, True]
    assert world.truth() == pytest.approx(1_110_000_000, abs=1000)


def test_the_day_is_ended_at_its_limit(make_world):
    world = make_world([scenario("dear", bash("echo hi", usage=cents(8)), say("Done."))])
    world.submit(task("dear"), max_cost_usd=0.08)
    assert world.wait() == {"dear": "queued"}
    answer = world.home / f"var/agent_questions/{DAY}/_day-answer.md"
    answer.write_text("Perhaps\n")
    until(lambda: world.rpc("question.list")[0]["note"])
    assert "_day-answer.md cannot be taken: 'Perhaps' is no answer to that" in world.orchctl("questions").out
    answer.write_text("Stop for today\n")
    closed = world.wait_event("day.closed")["event"]
    assert closed["by"] == "file"
    assert world.wait() == {"dear": "queued"}
    assert world.status("dear")["why"] == (
        "the day was ended at its limit of $0.08 ($0.08 spent); name a higher max_cost_usd in its task file and submit that again"
    )
    assert world.orchctl("questions", "--json").json == []
    # A higher limit in the file opens it again.
    world.submit(task("dear"), max_cost_usd=1.00)
    assert world.wait() == {"dear": "succeeded"}


def test_an_agent_that_waits_for_a_person_keeps_its_question_at_the_limit(make_world):
    """
    It spends nothing while it waits; the answer goes to the run that follows, once there is money for it.
    """
    asks = ask(question("Which colour?", "Red", "Blue"))
    world = make_world(
        [
            scenario("asker", {**asks, "usage": cents(1)}, bash("echo $((6*7))", usage=cents(1)), say("Blue it is.")),
            scenario("spender", gate("go", usage=cents(1)), bash("echo hi", usage=cents(10)), say("Done.")),
        ],
        config={"max_concurrent_agents": 2},
    )
    world.submit(task("asker"), task("spender"), max_cost_usd=0.08)
    world.wait_event("question.asked")
    world.gate.arrive("go").release()
    world.wait_event("day.limit_reached")
    world.wait_event("run.exited", run=f"{DAY}/spender/1")
    shown = world.status("asker")
    assert (shown["state"], shown["question"]) == ("waiting", f"{DAY}/asker#1")
    assert len(world.agents()) == 1
    assert world.orchctl("answer", "asker", "--option", "B").code == 0
    exited = world.wait_event("run.exited", run=f"{DAY}/asker/1")["event"]
    assert exited["cause"] == "day_limit"
    assert world.wait() == {"asker": "queued", "spender": "queued"}
    assert world.orchctl("answer", DAY, "+1").code == 0
    assert world.wait() == {"asker": "succeeded", "spender": "succeeded"}
    second = (world.run_dir("asker/2") / "stdin.jsonl").read_text()
    assert "You had asked: Which colour?" in second
    assert "Blue" in second
    assert world.truth() == pytest.approx(world.status()["cost"]["spent_usd"] * 1e9, abs=1000)


@pytest.mark.parametrize(("limits", "cause"), [({"max_cost_usd": 0.05}, "day_limit"), ({}, "timed_out")])
def test_an_agent_that_asks_by_file_and_works_on_is_held_to_its_limits(make_world, limits, cause):
    """
    Its question is shown and can be answered at once, and it is not taken for one that waits.
    """
    file = "{workspace}/../../../agent_questions/" + f"{DAY}/asker.md"
    world = make_world(
        [
            scenario(
                "asker",
                call(use("Write", file_path=file, content="# Which one?\n\nWhich database is it to be?\n")),
                gate("go"),
                *(bash(f"echo {n}; sleep 1", usage=cents(1)) for n in range(60)),
                say("Done."),
            )
        ]
    )
    world.submit(task("asker", timeout="30s" if cause == "timed_out" else "1h", retries=0), **limits)
    world.wait_event("question.asked", question=f"{DAY}/asker#1")
    held = world.gate.arrive("go")
    shown = world.status("asker")
    assert (shown["state"], shown["question"]) == ("running", f"{DAY}/asker#1")
    assert "works on without an answer; asks: Which database is it to be?" in world.orchctl("why", "asker").out
    held.release()
    assert world.wait_event("run.exited")["event"]["cause"] == cause
    assert len(world.events("run.tool_called")) < 50


def test_the_limit_of_a_task(make_world):
    """
    One task may spend three cents; its neighbour is not concerned.  The person is asked once, about it alone, and with their
    answer it goes on in its conversation; another one is left as it is.
    """
    steps = [bash("echo 1", usage=CENTS), gate("two", usage=CENTS), *(bash(f"echo {n}", usage=CENTS) for n in "34")]
    world = make_world(
        [
            scenario("small", *steps, say("Yes.", usage=CENTS)),
            scenario("left", bash("echo 1", usage=cents(2)), say("No.", usage=CENTS)),
            scenario("other", gate("other", usage={"input": 24995, "output": 1}), say("Done.", usage=CENTS)),
        ]
    )
    world.submit(task("small", max_cost_usd=0.03), task("other"), task("left", max_cost_usd=0.02))
    other = world.gate.arrive("other")
    small = world.gate.arrive("two")
    assert world.wait("left") == {"left": "queued"}
    reserved = world.status()["cost"]["reserved_usd"]
    # A task of medium complexity may need $3.00, less what it has spent, and no more than its own limit.
    assert reserved == pytest.approx(0.01 + 3.00 - 0.10, abs=1e-6)
    small.release()
    assert world.wait("small") == {"small": "queued"}
    shown = world.status("small")
    assert (shown["state"], shown["outcome"], shown["question"]) == ("queued", "over_budget", f"{DAY}/small#1")
    assert shown["cost_usd"] == pytest.approx(0.03, abs=1e-6)
    assert "The own limit of $0.03 of small is used up: $0.03 are spent." in world.orchctl("why", "small").out
    assert not world.events("day.limit_warned", "day.limit_reached")
    assert len(world.events("question.asked")) == len(world.events("task.limit_reached")) == 2
    file = world.home / f"var/agent_questions/{DAY}/left-answer.md"
    file.write_text("Leave it as it is\n")
    assert world.orchctl("answer", "small", "--option", "A").code == 0
    assert world.orchctl("answer", "small", "+7").code == 4, "the first answer wins"
    assert world.wait("small", "left") == {"small": "succeeded", "left": "failed"}
    assert world.status("small")["attempts"] == 2
    started = [e["event"] for e in world.events("run.started") if e["event"]["task"] == f"{DAY}/small"]
    assert [e["resumes"] for e in started] == [False, True]
    assert world.status("left")["why"].startswith("left at its own limit of $0.02, as you said")
    other.release()
    assert world.wait() == {"small": "succeeded", "left": "failed", "other": "succeeded"}
    assert world.truth() == pytest.approx(world.status()["cost"]["spent_usd"] * 1e9, abs=1000)
