"""
What ``config/policy.yaml`` says holds for agents: allowed, denied, or asked of the person, whose answer decides the call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kit.files import wait_file
from kit.processes import until
from kit.script import DAY, bash, call, conversation, gate, say, scenario, task, use
from kit.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

RULES = """\
rules:
  - ask: touch asked-*
  - ask: git tag *
    reason: Tags are the person's.
  - allow: rm README.md
  - deny: touch never-*
    rule: outside
    reason: Nobody needs that file.
tasks:
  lucky:
    - allow: touch asked-*
"""


def ruled(*scenarios: dict[str, Any], rules: str = RULES) -> Callable[[World], list[dict[str, Any]]]:
    """
    What makes a world's scenarios, and writes its ``config/policy.yaml`` before the daemon starts.
    """

    def make(world: World) -> list[dict[str, Any]]:
        (world.home / "config" / "policy.yaml").write_text(rules, encoding="utf-8")
        return list(scenarios)

    return make


def asked(world: World, name: str, number: int = 1) -> dict[str, Any]:
    """
    Wait for the question; gives it as the person sees it.
    """
    world.wait_event("question.asked", question=f"{DAY}/{name}#{number}")
    return next(q for q in world.orchctl("questions", "--json").json if q["id"] == f"{DAY}/{name}#{number}")


def told(*fragments: str) -> list[dict[str, Any]]:
    return [
        *({"when": {"result": fragment}, **say(f"Told {fragment}.")} for fragment in fragments),
        say("Told something else."),
    ]


def test_leave_is_given_once_for_the_task_or_not_at_all(make_world):
    world = make_world(
        ruled(
            scenario("yes", *(bash("touch asked-1") for _ in range(3)), bash("touch asked-2"), say("Done.")),
            scenario("no", bash("touch asked-3"), *told("use another name")),
        )
    )
    world.submit(task("yes"), task("no"))
    shown = asked(world, "yes")
    for words in ("Bash: touch asked-1", "Why you are asked"):
        assert words in shown["text"]
    assert [o["label"] for o in shown["options"]] == ["Allow once", "Allow for this task", "Deny"]
    tree = world.workspace("yes") / "tree"
    assert not (tree / "asked-1").exists()
    assert world.status("yes")["state"] == "waiting"
    page = wait_file(world.home / "var" / "agent_questions" / DAY / "yes.md", lambda data: data.decode())
    assert page.startswith("# Leave for Bash: touch asked-1")
    assert world.orchctl("answer", "yes", "--option", "A").code == 0
    # The next one asks again: leave was for one call.
    asked(world, "yes", 2)
    assert (tree / "asked-1").exists()
    (world.home / "var" / "agent_questions" / DAY / "yes-2-answer.md").write_text("Allow for this task\n")
    # The third does not ask; another act does.
    fourth = asked(world, "yes", 3)
    assert "touch asked-2" in fourth["text"]
    assert [(a["id"], a["target"], a["by"]) for a in world.status("yes")["allowed"]] == [
        ("yes#2", "touch asked-1", "file")
    ]
    assert world.orchctl("answer", "yes", "deny").code == 0
    late = world.orchctl("answer", "yes", "--question", "3", "--option", "A")
    assert (late.code, "answered before" in late.err) == (4, True)
    asked(world, "no")
    assert world.orchctl("answer", "no", "--option", "Deny", "No: use another name.").code == 0
    assert world.wait() == {"yes": "succeeded", "no": "succeeded"}
    assert not (tree / "asked-2").exists()
    assert not (world.workspace("no") / "tree" / "asked-3").exists()
    end = world.events("run.turn_ended", run=f"{DAY}/no/1")[-1]["event"]["text"]
    assert end == "Told use another name."
    assert not world.events("run.violation_seen")
    assert not world.orchctl("doctor", "--deep", "--json").json["checks"] or world.orchctl("doctor", "--deep").code == 0


def test_the_persons_own_lines_decide(make_world):
    world = make_world(
        ruled(
            scenario("allowed", bash("rm README.md"), bash("rm src/app.py"), say("Done.")),
            scenario("denied", bash("touch never-1"), say("Done.")),
            scenario("lucky", bash("touch asked-1"), say("Done.")),
            scenario("tagging", bash("git tag v1 && git push --tags"), say("Done.")),
        )
    )
    world.submit(*(task(name) for name in ("allowed", "denied", "lucky", "tagging")))
    assert world.wait() == {"allowed": "failed", "denied": "failed", "lucky": "succeeded", "tagging": "failed"}
    tree = world.workspace("allowed") / "tree"
    assert not (tree / "README.md").exists()
    assert (tree / "src" / "app.py").exists()
    seen = {e["event"]["run"].split("/")[1]: e["event"] for e in world.events("run.violation_seen")}
    assert (seen["denied"]["rule"], seen["denied"]["reason"]) == ("outside", "Nobody needs that file.")
    # What is denied beside what would be asked is denied, and nobody is asked.
    assert seen["tagging"]["target"].startswith("git push")
    assert not world.events("question.asked")
    assert (world.workspace("lucky") / "tree" / "asked-1").exists()


@pytest.mark.parametrize("answer", ["Allow once", "Deny"])
def test_leave_outlives_the_daemon(make_world, answer):
    """
    Killed while the call waits, and again with the answer recorded and not handed over.
    """
    world = make_world(
        ruled(scenario("slow", bash("touch asked-1"), call(use("Bash", command="ls", description="l")), say("Done."))),
        watched=True,
    )
    world.submit(task("slow"))
    asked(world, "slow")
    world.kill()
    # What the rules say by then makes no difference: the person was asked.
    (world.home / "config" / "policy.yaml").write_text("rules:\n  - allow: touch asked-*\n")
    world.start()
    assert world.status("slow")["state"] == "waiting"
    world.passed("loop.session", 3)
    assert not (world.workspace("slow") / "tree" / "asked-1").exists()
    assert world.rpc("question.answer", task="slow", text=answer)["answer"] == answer
    assert world.wait() == {"slow": "succeeded"}
    assert (world.workspace("slow") / "tree" / "asked-1").exists() is (answer == "Allow once")
    assert len(world.events("question.asked")) == len(world.events("question.delivered")) == 1
    assert world.orchctl("doctor", "--deep").code == 0


def test_leave_that_comes_for_an_agent_that_is_halted_opens_nothing(make_world):
    """
    One subagent waits for leave, another tries what is forbidden: the halt ends both.
    """
    world = make_world(
        ruled(
            scenario(
                "both",
                call(
                    use("Agent", description="a", prompt="ask nicely", subagent_type="general-purpose"),
                    use("Agent", description="b", prompt="do it badly", subagent_type="general-purpose"),
                ),
                say("Waiting."),
                say("Done."),
            ),
            conversation("ask nicely", bash("touch asked-1"), say("Done.")),
            conversation("do it badly", gate("badly"), bash("git commit -am x"), say("Done.")),
        )
    )
    world.submit(task("both"))
    asked(world, "both")
    world.gate.arrive("badly").release()
    assert world.wait() == {"both": "failed"}
    assert until(lambda: not world.agents())
    assert not (world.workspace("both") / "tree" / "asked-1").exists()
    assert len(world.events("question.withdrawn")) == 1
    assert world.orchctl("answer", "both", "--option", "A").code != 0


def test_a_file_that_cannot_be_read_is_told_at_the_start(make_world):
    world = make_world(ruled(scenario("idle", gate("x"))), start=False)
    path = world.home / "config" / "policy.yaml"
    path.write_text("rules:\n  - allow: touch x\n  - forbid: git tag *\n")
    done = world.orchctl("doctor", "--json")
    assert done.code != 0
    for said in (done.out + done.err,):
        assert f"{path}:3: forbid: unknown setting" in said
    daemon = world.spawn()
    assert daemon.wait(30) == 78
    assert f"{path}:3: forbid: unknown setting" in world.log.read_text()
    checked = world.orchctl("policy", "check", "touch x")
    assert f"{path}:3" in checked.err
    path.write_text(RULES)
    asks = world.orchctl("policy", "check", "touch asked-9", "--json").json
    assert (asks["verdict"], asks["rule"]) == ("ask", "none")
    lucky = world.orchctl("policy", "check", "touch asked-9", "--task", "lucky", "--json").json
    assert lucky["verdict"] == "allow"
