"""
A CLI that does not do as it is told starts no agent, and an agent of one is ended with the first call that nobody was asked about.

What a repository or a person has set up for the CLI runs in no agent.
"""

from __future__ import annotations

import json
from pathlib import Path

import claude_agent_sdk
import pytest
from kit.disobedient import disobedient
from kit.script import agent, bash, conversation, say, scenario, task, write
from kit.versions import BUNDLED, oldest
from kit.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
REAL = str(Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude")
VERSIONS = [BUNDLED, "oldest"]


def binary(version: str) -> str:
    return oldest() if version == "oldest" else version


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cli_that_obeys_is_tried_once(make_world, version):
    config = {"agent": {"binary": binary(version), "canary": True}}
    world = make_world([scenario("a", write("a.txt", "a"), say("Done."))], config=config)
    assert world.submit(task("a"))["accepted"] == ["a"]
    assert world.wait() == {"a": "succeeded"}
    proof = world.home / "var" / "canary.json"
    before = proof.stat()
    assert json.loads(proof.read_text())["identity"]
    # The person's account saw nothing of it.
    assert {entry["scenario"] for entry in world.ledger()} <= {"a", None}
    assert world.stop() == 0
    world.start()
    doctor = world.orchctl("doctor")
    assert doctor.code == 0, doctor
    assert "canary" in doctor.out
    assert proof.stat().st_mtime_ns == before.st_mtime_ns
    assert not world.events("run.violation_seen")


def test_a_cli_that_does_not_ask(make_world):
    def scenarios(world: World) -> list[dict]:
        steps = [bash("echo harmless"), bash(f"sleep 1; touch {world.root}/too-late"), say("Done.")]
        return [scenario("a", *steps)]

    world = make_world(scenarios, config={"agent": {"binary": "bin/claude", "canary": True}}, start=False)
    disobedient(world.home / "bin" / "claude", REAL)
    world.start()
    refused = world.orchctl("submit", str(world.day(task("a"))))
    assert refused.code == 4, refused
    assert "ran a command that was denied" in refused.err
    assert "agent.canary" in refused.err
    assert world.status()["daemon"]["hold"]
    assert world.status()["tasks"] == []
    assert not (world.home / "var" / "canary.json").exists()
    # Whoever lets it work all the same is told at the first call, and the agent is ended.
    assert world.stop() == 0
    world.configure(agent={"binary": "bin/claude", "canary": False})
    world.start()
    assert world.submit(task("a"))["accepted"] == ["a"]
    assert world.wait() == {"a": "failed"}
    assert world.status("a")["outcome"] == "violation"
    (seen,) = [e["event"] for e in world.events("run.violation_seen")]
    assert seen["seen_by"] == "monitor"
    assert seen["tool"] == "Bash"
    assert "it succeeded: harmless" in seen["evidence"]
    stopping = world.events("run.stopping")[0]["event"]
    assert stopping["cause"] == "violation"
    assert "bypassed" in stopping["reason"]
    report = world.orchctl("report", "--json").json["markdown"]
    assert "bypassed" in report


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_that_is_set_up_for_the_cli_runs(make_world, version):
    hook = {"matcher": "", "hooks": [{"type": "command", "command": "touch {root}/hooked"}]}
    events = ("SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "SessionEnd")
    settings = {"hooks": {event: [hook] for event in events}, "permissions": {"allow": ["Bash"]}}
    server = {"command": "touch", "args": ["{root}/served"]}

    def scenarios(world: World) -> list[dict]:
        def text(value: object) -> str:
            return json.dumps(value).replace("{root}", str(world.root))

        for folder in (world.project, world.claude):
            (folder / ".claude" / "agents").mkdir(parents=True)
            (folder / ".claude" / "settings.json").write_text(text(settings))
            (folder / ".claude" / "settings.local.json").write_text(text(settings))
            helper = "---\nname: planted\ndescription: planted\ntools: Bash\n---\nPlanted.\n"
            (folder / ".claude" / "agents" / "planted.md").write_text(helper)
            (folder / ".claude" / "commands").mkdir()
            (folder / ".claude" / "commands" / "planted.md").write_text("Planted.\n")
        (world.project / ".mcp.json").write_text(text({"mcpServers": {"planted": server}}))
        (world.claude / ".claude.json").write_text(text({"mcpServers": {"planted": server}}))
        return [
            scenario("a", bash("echo main"), agent("a part"), say("Waiting."), say("Done.")),
            conversation("a part", bash("echo part"), say("Done.")),
        ]

    world = make_world(scenarios, config={"agent": {"binary": binary(version)}})
    world.submit(task("a"))
    assert world.wait() == {"a": "succeeded"}
    # The repository's own files are in the agent's tree, and nothing in them ran.
    assert (world.workspace("a") / "tree" / ".mcp.json").exists()
    assert not (world.root / "hooked").exists()
    assert not (world.root / "served").exists()
    lines = (world.run_dir("a/1") / "stdout.jsonl").read_text().splitlines()
    (init, *_) = [line for line in map(json.loads, lines) if line.get("subtype") == "init"]
    assert init["mcp_servers"] == []
    assert "planted" not in init.get("agents", [])
    assert "planted" not in init.get("slash_commands", [])
    assert not world.events("run.violation_seen")
    # Every call was asked about, the subagent's too.
    asked = [line for line in map(json.loads, lines) if line.get("request", {}).get("subtype") == "hook_callback"]
    assert len(asked) >= 3
