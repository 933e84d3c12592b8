"""
Money: status, report, journal and the bill of the rehearsal model agree to a millionth of a dollar, whatever happens.
"""

from __future__ import annotations

import csv
import json
import os
import signal

import pytest
from kit.model import cost
from kit.processes import until
from kit.script import DAY, agent, bash, call, conversation, gate, gate_command, say, scenario, task, use, write
from kit.versions import BUNDLED, oldest
from kit.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TOLERANCE = 1000
"""Nano-USD: a millionth of a dollar."""


def journal_cost(world: World, name: str = "") -> int:
    """
    What the facts (of the runs whose name begins so) add up to: the CLI's accounts, and readings that none of them
    replaced yet.
    """
    settled: dict[str, int] = {}
    readings: dict[str, int] = {}
    for event in world.events("run.spend_seen", "run.spend_told", "run.spend_settled"):
        body, run = event["event"], event["run"]
        if not f"{run}/".startswith(f"{DAY}/{name}/" if name else DAY):
            continue
        if event["type"] == "run.spend_seen":
            readings[run] = readings.get(run, 0) + body["cost"]
        elif event["type"] == "run.spend_told":
            readings[run] = sum(s["cost"] for s in body["spends"])
        else:
            readings[run] = 0
            settled[run] = settled.get(run, 0) + sum(s["cost"] for s in body["spends"])
    return sum(settled.values()) + sum(readings.values())


def check_books(world: World, *tasks: str) -> None:
    """
    All accounts of the day against the bill.
    """
    truth = world.truth()
    assert truth > 0
    for name in tasks:
        own = world.truth(name, *(f"{name} sub {n}" for n in range(5)))
        assert journal_cost(world, name) == pytest.approx(own, abs=TOLERANCE), name
        assert world.status(name)["cost_usd"] * 1e9 == pytest.approx(own, abs=TOLERANCE), name
    assert journal_cost(world) == pytest.approx(truth, abs=TOLERANCE)
    status = world.orchctl("status", "--json").json
    assert status["cost"]["spent_usd"] * 1e9 == pytest.approx(truth, abs=TOLERANCE)
    assert sum(t["cost_usd"] for t in status["tasks"]) * 1e9 == pytest.approx(truth, abs=TOLERANCE)
    data = world.orchctl("report", "--json").json["data"]
    assert data["spent_usd"] * 1e9 == pytest.approx(truth, abs=TOLERANCE)
    assert sum(data["by_module"].values()) * 1e9 == pytest.approx(truth, abs=TOLERANCE)
    assert sum(m["cost_usd"] for m in data["by_model"].values()) * 1e9 == pytest.approx(truth, abs=TOLERANCE)
    for by in ("day", "task", "run", "model", "module"):
        found = world.orchctl("costs", "--by", by, "--json").json
        assert sum(line["usd"] for line in found["lines"]) * 1e9 == pytest.approx(truth, abs=TOLERANCE), by
        assert found["total"]["usd"] * 1e9 == pytest.approx(truth, abs=TOLERANCE)
        assert found["total"]["estimated_usd"] == 0
    lines = list(csv.DictReader(world.orchctl("costs", "--by", "task", "--csv").out.splitlines()))
    assert sum(float(line["usd"]) for line in lines) * 1e9 == pytest.approx(truth, abs=TOLERANCE)
    tokens = {"input": 0, "output": 0, "cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0}
    for entry in world.ledger():
        if entry["finished"] and entry["usage"]:
            for kind, count in entry["usage"].items():
                tokens[kind] += count
    shown_tokens = {
        k: sum(t["tokens"][k] for t in status["tasks"]) for k in ("input", "output", "cache_read", "cache_write")
    }
    assert shown_tokens == {
        "input": tokens["input"],
        "output": tokens["output"],
        "cache_read": tokens["cache_read"],
        "cache_write": tokens["cache_write_5m"] + tokens["cache_write_1h"],
    }


MIXED = {"input": 1111, "output": 77, "cache_read": 5003, "cache_write": 307, "cache_write_1h": 201}


def test_plain_subagent_background_and_faults(make_world):
    """
    One day with every way of spending that ends by itself.
    """
    world = make_world(
        [
            scenario("plain", write("a.txt", "a", usage=MIXED), bash("echo hi"), say("Done.", usage={"output": 1})),
            scenario("delegates", agent("delegates sub 1", usage=MIXED), say("Waiting."), say("All done.")),
            conversation("delegates sub 1", bash("echo 7", usage=MIXED), say("Seven.", usage=MIXED)),
            scenario(
                "background",
                call(use("Bash", command=gate_command("background"), description="long", run_in_background=True)),
                say("It runs in the background."),
                say("It has ended; so have I."),
            ),
            scenario(
                "faults",
                {"error": {"status": 429, "retry_after": 0}},
                bash("echo 1", usage=MIXED),
                {"error": {"status": 529, "times": 2}},
                bash("echo 2"),
                {"error": {"status": 500, "times": 1}},
                say("Through."),
            ),
            scenario("sonnet", bash("echo hi", usage=MIXED), say("Done.")),
        ],
        config={"max_concurrent_agents": 5},
    )
    world.submit(
        task("plain", module="one"),
        task("delegates", module="two"),
        task("background"),
        task("faults"),
        task("sonnet", model="claude-sonnet-5-5", module="one"),
    )
    waiting = world.gate.arrive("background")
    # The first turn is over; the agent is not: its command still runs.
    waiting.release()
    states = world.wait()
    assert states == dict.fromkeys(states, "succeeded")
    check_books(world, *states)
    assert world.status("faults")["cost_usd"] > 0
    retries = [e["event"]["status"] for e in world.events("run.retry_seen")]
    assert 429 in retries
    assert 529 in retries
    assert 500 in retries
    assert {e["model"] for e in world.ledger() if e["scenario"] == "sonnet"} == {"claude-sonnet-5-5"}
    subagent = [e["event"] for e in world.events("run.tool_called") if e["event"]["subagent"]]
    assert [call["tool"] for call in subagent] == ["Bash"]


def test_a_subagent_is_counted_while_it_works(make_world):
    """
    The stream tells the beginning of its responses only; the CLI is asked for the rest.
    """
    more = {**MIXED, "output": 7777}
    world = make_world(
        [
            scenario("delegates", agent("delegates sub 1", usage=MIXED), say("Waiting."), say("All done.")),
            conversation(
                "delegates sub 1",
                bash("echo 7", usage=more),
                gate("one", usage=more),
                gate("two", usage=more),
                say("Seven.", usage=more),
            ),
        ]
    )
    world.submit(task("delegates"))
    for name in ("one", "two"):
        held = world.gate.arrive(name)
        until(lambda: abs(status_nano(world) - world.truth()) <= TOLERANCE)
        held.release()
    assert world.wait() == {"delegates": "succeeded"}
    check_books(world, "delegates")


def status_nano(world: World) -> float:
    cost: float = world.orchctl("status", "--json").json["cost"]["spent_usd"]
    return cost * 1e9


def test_a_broken_stream_is_counted_as_the_cli_counts_it(make_world):
    """
    What the service bills for half an answer nobody but its own books knows.  The CLI sometimes counts it as an estimate
    and sometimes not at all (Claude Code 2.1.330), and its account is the one that is shown, to the last digit.
    """
    sentence = "This sentence is long enough to be broken somewhere in the middle of the stream."
    world = make_world([scenario("broken", {"cut": True, **bash("echo 1")}, {"sse_error": True, **say(sentence)})])
    world.submit(task("broken"))
    assert world.wait() == {"broken": "succeeded"}
    results = [
        found
        for line in (world.run_dir("broken/1") / "stdout.jsonl").read_bytes().splitlines()
        if (found := json.loads(line))["type"] == "result"
    ]
    shown = world.status("broken")["cost_usd"]
    assert shown == pytest.approx(results[-1]["total_cost_usd"], abs=1e-9)
    begun = sum(not entry["finished"] for entry in world.ledger())
    assert begun == 2
    # Each of them was for 1000 tokens in and at most 100 out.
    assert world.truth() / 1e9 - 1e-9 <= shown <= world.truth() / 1e9 + begun * 0.006


def test_a_killed_agent_is_resumed_and_every_answer_counted_once(make_world):
    world = make_world(
        [
            scenario(
                "long",
                bash("echo one", usage=MIXED),
                agent("long sub 1", usage=MIXED),
                say("Waiting for the part."),
                gate("first", usage=MIXED),
                write("after.txt", "after"),
                say("Done.", usage=MIXED),
            ),
            conversation("long sub 1", bash("echo 7", usage=MIXED), say("Seven.", usage=MIXED)),
        ]
    )
    world.submit(task("long"))
    held = world.gate.arrive("first")
    session = world.events("run.started")[0]["event"]["session"]
    world.wait_transcript("long/1", ("long", 3))
    os.kill(world.agent_pid("long/1"), signal.SIGKILL)
    assert held.gone(), "the agent's command outlived it"
    exited = world.wait_event("run.exited", run=f"{DAY}/long/1")["event"]
    assert (exited["outcome"], exited["signal"]) == ("killed", signal.SIGKILL)
    again = world.wait_event("run.started", run=f"{DAY}/long/2")["event"]
    assert (again["session"], again["resumes"]) == (session, True)
    # The command that was killed is not repeated: the model is told that it was interrupted, and goes on.
    assert world.wait() == {"long": "succeeded"}
    assert world.status("long")["attempts"] == 2
    assert (world.workspace("long") / "tree" / "after.txt").exists()
    check_books(world, "long")
    # Both halves cost something, and the second is not charged with the first.
    first, second = journal_cost(world, "long/1"), journal_cost(world, "long/2")
    assert first > 0
    assert second > 0
    assert first + second == pytest.approx(world.truth(), abs=TOLERANCE)


def test_a_killed_agent_that_is_not_retried_is_counted_to_the_last_answer(make_world):
    world = make_world(
        [
            scenario("lost", bash("echo one", usage=MIXED), agent("lost sub 1", usage=MIXED), say("Waiting.")),
            conversation("lost sub 1", bash("echo 7", usage=MIXED), gate("inside", usage=MIXED), say("Seven.")),
        ],
        config={"retries": 0},
    )
    world.submit(task("lost"))
    held = world.gate.arrive("inside")
    world.wait_transcript("lost/1", ("lost sub 1", 1))
    world.wait_transcript("lost/1", ("lost", 2))
    os.kill(world.agent_pid("lost/1"), signal.SIGKILL)
    assert held.gone()
    assert world.wait() == {"lost": "failed"}
    assert world.status("lost")["outcome"] == "killed"
    assert "SIGKILL" in world.status("lost")["why"]
    check_books(world, "lost")


def test_a_session_that_is_resumed_after_a_limit_is_not_charged_twice(make_world):
    """
    The process ended in good order, so the next one's total begins with all that the first one cost.
    """
    limited = {"error": {"status": 429, "headers": {"x-should-retry": "false"}, "message": "come back later"}}
    world = make_world(
        [scenario("limited", bash("echo 1", usage=MIXED), limited, say("Through.", usage=MIXED))],
        config={"busy_pause": "1s"},
    )
    world.submit(task("limited"))
    exited = world.wait_event("run.exited")["event"]
    assert exited["outcome"] == "rate_limited"
    requeued = world.wait_event("task.requeued")["event"]
    assert "come back later" in requeued["reason"]
    assert world.wait() == {"limited": "succeeded"}
    first, second = (e["event"] for e in world.events("run.started"))
    assert (second["resumes"], second["session"]) == (True, first["session"])
    check_books(world, "limited")


def test_a_model_whose_price_only_the_cli_knows_does_not_stop_the_day(make_world):
    """
    At our dearest price its first answer alone would reach the limit; all of them together cost less than half of it.
    """
    used = {"input": 100_000, "output": 1000}
    world = make_world([scenario("a", *(bash(f"echo {n}", usage=used) for n in range(4)), say("Done.", usage=used))])
    world.submit(task("a", model="claude-3-5-haiku-20241022"), max_cost_usd=1.00)
    assert world.wait() == {"a": "succeeded"}
    assert world.events("day.limit_reached", "run.curtailed", "run.stopping") == []
    check_books(world, "a")


def test_what_an_agent_spent_that_can_be_followed_no_more_is_counted(make_world):
    """
    While there is no daemon the model answers once more; then the output is no file any more.
    """
    used = {"input": 250_000, "output": 1}
    script = (gate("a", usage=used), bash("echo after", usage=used), say("Done."))
    world = make_world([scenario("a", *script)])
    world.submit(task("a"))
    held = world.gate.arrive("a")
    until(lambda: world.status("a")["cost_usd"] > 1.0)
    world.kill()
    held.release()
    until(lambda: sum(entry["finished"] for entry in world.ledger()) == 2)
    session = next((world.claude / ".claude" / "projects").glob("*/*.jsonl"))
    names = [entry["message"].encode() for entry in world.ledger()]
    until(lambda: all(name in session.read_bytes() for name in names))
    output = world.run_dir("a/1") / "stdout.jsonl"
    output.rename(output.with_suffix(".real"))
    output.symlink_to(output.with_suffix(".real"))
    world.start()
    world.wait_event("run.exited")
    assert world.events("run.exited")[0]["event"]["cause"] == "unfollowed"
    (settled,) = world.events("run.spend_settled")
    assert sum(spend["cost"] for spend in settled["event"]["spends"]) == sum(map(cost, world.ledger()[:2]))
    # The next one goes on with the conversation.
    world.gate.arrive("a").close()
    assert world.wait() == {"a": "succeeded"}
    check_books(world, "a")


VERSIONS = pytest.mark.parametrize("version", [BUNDLED, "oldest"])


def binary(version: str) -> dict[str, str]:
    return {"binary": BUNDLED if version == BUNDLED else oldest()}


@VERSIONS
@pytest.mark.parametrize("given", ["msg_one", ""])
def test_answers_without_an_id_of_their_own_count_one_by_one(make_world, version, given):
    """
    A gateway gives all of them the same id, or none: their limit holds as for others, up to the answer under way.
    """
    used = {"input": 100_000, "output": 100}
    steps = (bash(f"echo {n}", usage=used, message_id=given) for n in range(12))
    world = make_world(
        [scenario("a", *steps, say("Done."))], config={"max_daily_cost_usd": 2.0, "agent": binary(version)}
    )
    world.submit(task("a"))
    world.wait_event("run.exited")
    truth = world.truth("a")
    assert world.status("a")["cost_usd"] * 1e9 == pytest.approx(truth, abs=TOLERANCE)
    assert journal_cost(world, "a") == pytest.approx(truth, abs=TOLERANCE)
    most = max(cost(entry) for entry in world.ledger() if entry["scenario"] == "a")
    assert most < truth < 2e9 + 2 * most


@VERSIONS
def test_an_answer_in_which_it_is_interrupted_counts(make_world, version):
    """
    What was sent for it was: 2.1.330 has it in its account, 2.1.197 has not.
    """
    long = say("word " * 200, usage={"input": 500_000, "output": 200}, pace=0.5)
    world = make_world([scenario("a", bash("echo 1"), long)], config={"agent": binary(version)})
    world.submit(task("a"))
    world.wait_event("run.spend_seen", lambda body: body["usage"]["input"] == 500_000)
    live = world.status("a")["cost_usd"]
    assert live > 2.0
    assert world.orchctl("cancel", "a").code == 0
    world.wait_event("run.exited")
    assert live <= world.status("a")["cost_usd"] < live + 0.1
    assert world.status("a")["cost_usd"] * 1e9 == pytest.approx(journal_cost(world, "a"), abs=TOLERANCE)


@VERSIONS
def test_prices_that_are_put_right_hold_for_agents_at_work(make_world, version):
    """
    The list was ten times too low; the daemon is started again with the right one while the agent works.
    """
    used = {"input": 500_000, "output": 10}
    steps = (bash("echo 1", usage=used), gate("a", usage=used), *(bash(f"echo {n}", usage=used) for n in range(5)))
    world = make_world(
        [scenario("a", *steps, say("Done."))], config={"max_daily_cost_usd": 9.0, "agent": binary(version)}
    )
    prices = world.home / "config" / "prices.yaml"
    kinds = {"input": 0.4, "output": 2.0, "cache_write_5m": 0.5, "cache_write_1h": 0.8, "cache_read": 0.04}
    models = dict.fromkeys(("claude-opus-5-5", "claude-opus-4-8"), kinds)
    prices.write_text(json.dumps({"date": "2026-01-01", "models": models}), encoding="utf-8")
    world.kill()
    world.start()
    world.submit(task("a"))
    held = world.gate.arrive("a")
    world.kill()
    prices.unlink()
    world.start()
    until(lambda: world.status("a")["cost_usd"] * 1e9 == pytest.approx(world.truth("a"), abs=TOLERANCE))
    done = world.orchctl("doctor", "--deep")
    assert done.code == 0, done.out
    held.release()
    world.wait_event("run.exited")
    done = world.orchctl("doctor", "--deep")
    assert done.code == 0, done.out
    assert world.truth("a") < 9e9 + max(cost(entry) for entry in world.ledger())
