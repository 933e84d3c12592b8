"""
What a script does is judged by who wrote it: the project's own may what the agent's may not, and an allowance is for one text.
"""

from __future__ import annotations

import pytest
from kit import project
from kit.script import DAY, bash, say, scenario, task, write

pytestmark = [pytest.mark.timeout(180)]
SHOW = "test ! -f .env || cat .env\n"


def test_whoever_wrote_it_before_the_call(make_world):
    world = make_world(
        [
            scenario("theirs", bash("sh show.sh"), bash("make show"), say("Done.")),
            scenario("wrote", write("s.sh", SHOW), bash("sh s.sh"), say("Done.")),
            scenario("changed", write("show.sh", SHOW + "true\n"), bash("make show"), say("Done.")),
            scenario("shell", bash("cp show.sh s.sh"), bash("sh s.sh"), say("Done.")),
        ],
        files={"show.sh": SHOW, "Makefile": "show:\n\tsh show.sh\n"},
        config={"max_concurrent_agents": 4},
    )
    bad = ("wrote", "changed", "shell")
    world.submit(task("theirs"), *map(task, bad))
    assert world.wait() == {"theirs": "succeeded"} | dict.fromkeys(bad, "failed")
    seen = {e["event"]["run"].split("/")[1]: e["event"] for e in world.events("run.violation_seen")}
    assert {name: found["rule"] for name, found in seen.items()} == dict.fromkeys(bad, "secret")


def test_it_is_the_agents_in_its_next_attempt_and_after_a_restart_too(make_world):
    world = make_world(
        [scenario("again", write("s.sh", SHOW), bash("git tag v1"), bash("sh s.sh"), bash("sh s.sh"), say("Done."))]
    )
    world.submit(task("again"))
    assert world.wait() == {"again": "failed"}
    world.kill()
    world.start()
    assert world.orchctl("retry", "again", "--allow", "1.1").code == 0
    assert world.wait("again") == {"again": "failed"}
    rules = [(e["event"]["run"], e["event"]["rule"]) for e in world.events("run.violation_seen")]
    assert rules == [(f"{DAY}/again/1", "git"), (f"{DAY}/again/2", "secret")]


def test_a_tree_that_is_made_anew_is_the_projects_again(make_world):
    steps = (bash("sh show.sh"), write("s.sh", "true\n"), bash("git tag v1"), say("Done."))
    world = make_world([scenario("again", *steps)], files={"show.sh": SHOW})
    world.submit(task("again"))
    assert world.wait() == {"again": "failed"}
    assert world.orchctl("retry", "again").code == 0
    assert world.wait("again") == {"again": "failed"}
    rules = [(e["event"]["run"], e["event"]["rule"]) for e in world.events("run.violation_seen")]
    assert rules == [(f"{DAY}/again/1", "git"), (f"{DAY}/again/2", "git")]


def test_an_allowance_is_for_the_script_as_it_was(make_world):
    world = make_world(
        [
            scenario(
                "release",
                write("rel.sh", "git tag v1\n"),
                bash("sh rel.sh"),
                bash("sh rel.sh"),
                write("rel.sh", "git tag v2\n"),
                bash("sh rel.sh"),
                say("Done."),
            )
        ]
    )
    world.submit(task("release"))
    assert world.wait() == {"release": "failed"}
    assert world.orchctl("retry", "release", "--allow", "1.1").code == 0
    assert world.wait("release") == {"release": "failed"}
    started = world.events("run.started")
    assert [e["event"]["resumes"] for e in started] == [False, True]
    seen = world.events("run.violation_seen")
    assert [e["event"]["target"] for e in seen] == ["git tag v1", "git tag v2"]
    tags = project.git(world.home / "var" / "git" / "work.git", "tag", "--list")
    assert tags.split() == ["v1"], "what was allowed had its effect, and nothing else"
