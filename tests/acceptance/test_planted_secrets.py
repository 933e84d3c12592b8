"""
Secrets planted wherever one can come from, looked for wherever one may be told: with the real CLI and the real client.
"""

from __future__ import annotations

import json
import re

import pytest
from kit.cell import ENV, needs_bwrap, settings
from kit.script import DAY, bash, say, scenario, task, write
from kit.world import World

from orchestrd.audit.finding import problems
from orchestrd.audit.home import check_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ENVIRONMENT = "planted-env-5e1f77"
TASK = "sk-ant-api03-plantedintasktext00"
INPUT = "ghp_plantedintoolinput0123456789abcd"
OUTPUT = "glpat-plantedintooloutput01"
WORDS = "AKIAPLANTEDINWORDS01"
REMOTE = "planted-remote-9d2"
SUMMARY = "xoxb-000000-plantedinsummary"
ALL = (ENVIRONMENT, TASK, INPUT, OUTPUT, WORDS, REMOTE, SUMMARY)
KEPT = "corp-gw-9zq7planted3f51"
OURS = "planted-daemon-b71c"
ADDRESS = f"https://me:{REMOTE}@forge.example/x.git"


def test_no_planted_secret_is_told(make_world):
    world = make_world(
        [
            scenario(
                "a",
                bash(f"echo {INPUT}; cat out.txt"),
                write("seen.txt", "x\n"),
                bash(f"printf '%s' 'The key is {SUMMARY}' > ../summary.md"),
                say(f"Found {WORDS}, {ENVIRONMENT} and {ADDRESS}."),
            ),
            scenario("b", bash(f"cat no-such/{OUTPUT}"), say(f"It is {ENVIRONMENT}", stop_reason="end_turn")),
            # Forbidden: its agent is halted, and the person told of what.
            scenario("c", bash(f"git push {ADDRESS} main"), say("never")),
        ],
        files={"out.txt": f"{OUTPUT}\n"},
        env={"SERVICE_TOKEN": ENVIRONMENT},
        config={"log_level": "debug"},
    )
    world.git("remote", "add", "forge", ADDRESS)
    check = {"name": "refuses", "run": f"echo {OUTPUT}; false"}
    world.submit(
        task("a", description=f"Use {TASK} for it, whatever is said of it.", deliverables=["seen.txt"]),
        task("b", description="Say it.", checks=[check], retries=0),
        task("c"),
    )
    world.wait()
    sinks = {
        "log": world.log.read_text(),
        "report": world.orchctl("report").out,
        "report as JSON": world.orchctl("report", "--json").out,
        "status": world.orchctl("status").out + world.orchctl("status", "--json").out,
        "one task": world.orchctl("status", "a").out
        + world.orchctl("status", "b", "--json").out
        + world.orchctl("status", "c").out,
        "why": world.orchctl("why", "b").out + world.orchctl("why", "c").out,
        "events": world.orchctl("events").out + world.orchctl("events", "--json").out,
        "journal page": json.dumps(world.rpc("event.list", limit=500)),
        "costs": world.orchctl("costs", "--json").out,
        "an error": world.orchctl("diff", TASK).err,
    }
    for place in (*(world.home / "var" / "results").iterdir(), *(world.home / "var" / "agent_status").rglob("*.json")):
        sinks[place.name] = place.read_text()
    for run in ("a/1", "b/1", "c/1"):
        log = world.run_dir(run) / "shim.log"
        sinks[f"shim of {run}"] = log.read_text() if log.exists() else ""
    told = {sink: [secret for secret in ALL if secret in text] for sink, text in sinks.items()}
    assert {sink: found for sink, found in told.items() if found} == {}
    assert "[secret]" in sinks["report"]
    assert "whatever is said of it" not in sinks["events"] + sinks["journal page"] + sinks["log"]
    # The agent's own stream has what it said, as it said it: `orchctl logs` shows it to its owner.
    assert WORDS in world.orchctl("logs", "a", "--raw").out
    found = problems(check_home(world.home, environ=world.environ, logs=[world.log]))
    assert [finding for finding in found if finding.invariant == "I9"] == []
    assert DAY in sinks["status"]


@needs_bwrap
def test_nor_one_that_agents_are_not_shown(make_world, monkeypatch):
    """
    The key that stays outside of the sandbox, and what only the daemon has: an agent can come by either, and say it.
    """
    environ = World.environ.fget
    monkeypatch.setattr(World, "environ", property(lambda self: {**environ(self), "BILLING_PASSWORD": OURS}))
    world = make_world(
        [
            scenario(
                "a",
                write("seen.txt", "x\n"),
                bash(f"printf '%s' '{KEPT}, {OURS}' > ../summary.md"),
                say(f"{KEPT}, {OURS}."),
            ),
            scenario("b", bash(f"git push https://{OURS}.example/{KEPT} main"), say("never")),
        ],
        config=settings(credentials="proxy"),
        env={**ENV, "ANTHROPIC_API_KEY": KEPT},
    )
    world.submit(task("a"), task("b"))
    assert world.wait() == {"a": "succeeded", "b": "failed"}
    shown = [("report",), ("status",), ("status", "a"), ("why", "a"), ("why", "b"), ("events", "--json")]
    sinks = {" ".join(words): world.orchctl(*words).out for words in shown}
    for place in (*(world.home / "var" / "results").iterdir(), *(world.home / "var" / "agent_status").rglob("*.json")):
        sinks[place.name] = place.read_text()
    sinks["journal"] = repr([(world.home / "var" / name).read_bytes() for name in ("orchestrd.db", "orchestrd.db-wal")])
    assert {sink for sink, text in sinks.items() if KEPT in text or OURS in text} == set()
    # The proxy has the key's length in its place.
    assert re.search(r"^> \[secret\]\**, \[secret\]$", sinks["report"], re.MULTILINE)
    # Whoever looks has another environment, and finds nothing wrong.
    assert problems(check_home(world.home)) == []
