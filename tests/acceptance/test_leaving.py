"""
A run whose agent has done all it had to do needs no money and no service: what becomes of either is nothing to it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.processes import until
from kit.script import DAY, bash, gate, say, scenario, task
from kit.versions import BUNDLED, VERSION, oldest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CENT = {"input": 2495, "output": 1}
"""An answer for exactly one cent."""
DOLLAR = {"input": 249_995, "output": 1}
GONE = {"error": {"status": 401, "headers": {"x-should-retry": "false"}, "times": 1}}


def held(path: Path) -> dict[str, str]:
    """
    A check that passes once there is a file at *path*.
    """
    return {"name": "tests", "run": f"until test -f {path}; do sleep 0.05; done; test -f a.txt"}


@pytest.mark.parametrize("trouble", ["limit", "login"])
def test_what_stops_the_others_leaves_its_checks_alone(make_world, tmp_path, trouble):
    beyond = [bash("echo x", usage=DOLLAR), say("Done.")] if trouble == "limit" else [GONE, say("Done.")]
    world = make_world(
        [
            scenario("a", bash("echo hi > a.txt", usage=CENT), say("Done.", usage=CENT)),
            scenario("b", gate("b", usage=CENT), *beyond),
        ],
        config={"max_concurrent_agents": 2},
    )
    world.submit(task("a", checks=[held(tmp_path / "go")]), task("b"), max_cost_usd=0.5 if trouble == "limit" else 50)
    other = world.gate.arrive("b")
    until(lambda: world.status("a")["state"] == "checking")
    other.release()
    world.wait_event("run.exited", run=f"{DAY}/b/1")
    assert [e["event"]["run"] for e in world.events("run.stopping")] == [f"{DAY}/b/1"] * (trouble == "limit")
    assert world.orchctl("why", "a").out.startswith("checking since ")
    (asked,) = world.orchctl("questions", "--json").json
    if trouble == "limit":
        assert "Stopped, to be gone on with: b." in asked["text"], "more money would not let it go on"
    (tmp_path / "go").touch()
    ended = world.wait_event("run.exited", run=f"{DAY}/a/1")["event"]
    assert (ended["cause"], [check["status"] for check in ended["checks"]]) == ("done", ["passed"])
    until(lambda: world.status("a")["state"] == "succeeded")
    assert world.status("a")["attempts"] == 1


@pytest.mark.parametrize("whose", ["day", "task"])
def test_who_is_done_with_the_answer_that_reaches_the_limit_is_done(make_world, whose):
    world = make_world(
        [scenario("a", bash("echo hi > a.txt", usage=CENT), say("All done.", usage={"input": 29_995, "output": 1}))]
    )
    limit = {"max_cost_usd": 0.1}
    world.submit(task("a", **(limit if whose == "task" else {})), **(limit if whose == "day" else {}))
    assert world.wait() == {"a": "succeeded"}
    (ended,) = (e["event"] for e in world.events("run.exited"))
    assert ended["cause"] == "done"
    if world.events("run.stopping"):
        # It was to be stopped with that very reading, and that is told.
        assert ended["reason"].endswith(f"before it was stopped: the {whose}'s limit of $0.10 is reached")
        assert ended["reason"] in world.orchctl("report").out
    assert world.orchctl("questions", "--json").json == [], "nothing is left that money would let go on"
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


ODD = {"max_tokens": "output_limit", "refusal": "declined", "model_context_window_exceeded": "too_long"}


@pytest.mark.parametrize("version", [BUNDLED, VERSION])
def test_what_the_model_will_not_do_for_one_task_keeps_no_other(make_world, version):
    """
    Its answers are too long, it refuses, the conversation is full: each costs that task its tries, and nobody waits for it.
    """
    world = make_world(
        [
            *(
                scenario(cause, bash("echo hi"), *(say(f"On and on {n}", stop_reason=stop) for n in range(12)))
                for stop, cause in ODD.items()
            ),
            scenario("other", say("Done.")),
        ],
        config={
            "max_concurrent_agents": 3,
            "retries": 0,
            "agent": {"binary": BUNDLED if version == BUNDLED else oldest()},
        },
    )
    world.submit(*(task(cause) for cause in ODD.values()), task("other"))
    assert world.wait() == {**dict.fromkeys(ODD.values(), "failed"), "other": "succeeded"}
    ended = {e["event"]["run"]: e["event"]["cause"] for e in world.events("run.exited")}
    assert ended == {**{f"{DAY}/{cause}/1": cause for cause in ODD.values()}, f"{DAY}/other/1": "done"}
    assert world.events("account.blocked") == []
