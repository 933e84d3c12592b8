"""
Forbidden acts are denied before they run, halt their agent, and are told to the person, who may allow one; everything else is
left alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from kit.processes import until
from kit.script import DAY, agent, bash, call, conversation, gate, say, scenario, task, use, write
from kit.world import World

pytestmark = [pytest.mark.timeout(180)]

FORBIDDEN = [
    ("git", 'git commit --allow-empty -m "x"'),
    ("git", "git add -A && git status"),
    ("git", "sh -c 'git push origin main'"),
    ("git", "git checkout -b other"),
    ("git", "git stash"),
    ("delete", "rm README.md"),
    ("delete", "rm -rf src"),
    ("db", "python manage.py migrate"),
    ("db", "npx prisma migrate deploy"),
    ("outside", "echo owned > PROJECT/owned.txt"),
    ("outside", "cp README.md PROJECT/copy.md"),
]
ALLOWED = ["git status --short", "git log --oneline", "git diff", "ls src", "cat README.md", "echo x > $TMPDIR/note"]


def tree_state(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def names(acts: list[tuple[str, str]]) -> list[str]:
    return [f"bad-{number}" for number, _ in enumerate(acts)]


def test_forbidden_acts_halt_their_agents_and_nobody_else(make_world):
    """
    Each by an agent of its own, beside honest work that goes on.
    """

    def acts(world: World) -> list[dict]:
        return [
            *(bash(command.replace("PROJECT", str(world.project))) for _, command in FORBIDDEN),
            call(use("Write", file_path=f"{world.project}/owned.txt", content="owned")),
            call(use("Write", file_path=f"{world.home}/config/owned.txt", content="owned")),
        ]

    rules = [*(rule for rule, _ in FORBIDDEN), "outside", "outside"]
    bad = names(rules)

    def scenarios(world: World) -> list[dict]:
        tried = [
            scenario(name, write("mine.txt", "mine"), act, write("late.txt", "late"), say("I tried."))
            for name, act in zip(bad, acts(world), strict=True)
        ]
        honest = scenario("honest", *(bash(command) for command in ALLOWED), gate("beside"), say("Done."))
        return [*tried, honest]

    world = make_world(scenarios, config={"max_concurrent_agents": 4})
    before, refs = tree_state(world.project), world.git("for-each-ref")
    world.submit(task("honest", priority="urgent"), *(task(name) for name in bad))
    held = world.gate.arrive("beside")
    assert world.wait(*bad) == dict.fromkeys(bad, "failed")
    assert world.status("honest")["state"] == "running"
    held.release()
    assert world.wait("honest") == {"honest": "succeeded"}
    # Nothing happened, neither here nor there.
    assert tree_state(world.project) == before
    assert world.git("for-each-ref") == refs
    assert world.git("status", "--porcelain") == ""
    assert not (world.home / "config" / "owned.txt").exists()
    # What was done before is kept; nothing came after, and no call was granted.
    exits = {e["event"]["run"].split("/")[1]: e["event"] for e in world.events("run.exited")}
    for name in bad:
        tree = world.workspace(name) / "tree"
        left = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()} - {".git"}
        assert left == {"README.md", "src/app.py", "gate.py", "mine.txt"}, name
        assert [file["path"] for file in exits[name]["files"]] == ["mine.txt"]
        assert (exits[name]["outcome"], exits[name]["cause"]) == ("violation", "violation")
    # Each is known, with its evidence, and none is tried again by itself.
    seen = {e["event"]["run"].split("/")[1]: e["event"] for e in world.events("run.violation_seen")}
    assert [seen[name]["rule"] for name in bad] == rules
    calls = {e["event"]["call"]: e["event"]["tool"] for e in world.events("run.tool_called")}
    assert all(calls[found["call"]] == found["tool"] and found["target"] and found["reason"] for found in seen.values())
    assert len(world.events("run.started")) == len(bad) + 1
    # The person reads of it.
    status = world.status("bad-0")
    assert (status["state"], status["outcome"], status["violations"]) == ("failed", "violation", 1)
    [shown] = status["violation_list"]
    assert (shown["id"], shown["rule"], shown["halted"], shown["allowed"]) == ("bad-0/1.1", "git", True, False)
    assert "git commit" in status["why"]
    page = world.orchctl("status", "bad-0").out
    assert "orchctl retry bad-0 --allow bad-0/1.1" in page
    report = world.orchctl("report", "--json").json
    assert sorted(v["rule"] for v in report["data"]["violations"]) == sorted(rules)
    section = report["markdown"].partition("## Violations")[2].partition("\n## ")[0]
    for words in (
        "git commit",
        "git push origin main",
        "rm README.md",
        "manage.py migrate",
        "prisma migrate",
        "copy.md",
        "bad-0/1.1",
    ):
        assert words in section, words


def test_a_subagent_is_held_to_the_same_rules(make_world):
    world = make_world(
        [
            scenario("boss", agent("do the dirty work"), say("Waiting."), say("Done.")),
            conversation("do the dirty work", bash("git commit -am x"), bash("rm README.md"), say("Denied.")),
        ]
    )
    world.submit(task("boss"))
    assert world.wait() == {"boss": "failed"}
    assert [e["event"]["rule"] for e in world.events("run.violation_seen")] == ["git"]
    assert world.status("boss")["outcome"] == "violation"
    assert (world.workspace("boss") / "tree" / "README.md").exists()


UNREADABLE = 'eval "$(date)"'


def test_what_cannot_be_read_is_denied_and_halts_at_the_third_time(make_world):
    world = make_world(
        [
            scenario("twice", bash(UNREADABLE), bash(UNREADABLE), bash("ls src"), say("I found another way.")),
            scenario("thrice", *(bash(f"{UNREADABLE} {n}") for n in range(4)), say("I go on.")),
        ]
    )
    world.submit(task("twice"), task("thrice"))
    assert world.wait() == {"twice": "succeeded", "thrice": "failed"}
    seen = [e["event"] for e in world.events("run.violation_seen")]
    assert {found["rule"] for found in seen} == {"exec-unknown"}
    assert (world.status("twice")["violations"], world.status("thrice")["violations"]) == (2, 3)
    assert "3 times" in world.status("thrice")["why"]
    raw = (world.run_dir("twice/1") / "stdout.jsonl").read_text()
    assert "Write the command out" in raw


def test_how_many_times_is_a_setting(make_world):
    world = make_world([scenario("once", bash(UNREADABLE), say("I go on."))], config={"halt_at_unknown": 1})
    world.submit(task("once"))
    assert world.wait() == {"once": "failed"}
    assert world.status("once")["outcome"] == "violation"


def test_a_false_alarm_is_allowed_and_the_task_goes_on_where_it_was(make_world):
    """
    Exactly that act, and no other; for that task, and no other; until it is taken back.
    """
    world = make_world(
        [
            scenario(
                "wrong",
                write("mine.txt", "mine"),
                bash("rm README.md"),
                bash("rm README.md"),
                bash("rm src/app.py"),
                bash("rm README.md"),
                say("Done."),
            ),
            scenario("other", bash("rm README.md"), say("Done.")),
        ]
    )
    world.submit(task("wrong"), task("other"))
    assert world.wait() == {"wrong": "failed", "other": "failed"}
    tree = world.workspace("wrong") / "tree"
    assert (tree / "README.md").exists()
    for name, words, code in (
        ("wrong/1.2", "has no violation wrong/1.2", 5),
        ("other/1.1", "is a violation of", 5),
        ("nonsense", "has no violation nonsense", 5),
    ):
        wrong = world.orchctl("retry", "wrong", "--allow", name)
        assert wrong.code == code, wrong
        assert words in wrong.err
    assert not world.events("task.allowed")
    assert world.orchctl("retry", "--all", "--allow", "1.1").code == 2
    done = world.orchctl("retry", "wrong", "--allow", "wrong/1.1")
    assert done.code == 0, done
    assert "may now: Bash rm README.md" in done.out
    # The same act runs now, in the same conversation; another one halts it again.
    assert world.wait("wrong") == {"wrong": "failed"}
    assert not (tree / "README.md").exists()
    assert (tree / "src" / "app.py").exists()
    started = [e["event"] for e in world.events("run.started", run=f"{DAY}/wrong/2")]
    assert started[0]["resumes"]
    first = world.events("run.started", run=f"{DAY}/wrong/1")[0]["event"]
    assert first["session"] == started[0]["session"]
    told = (world.run_dir("wrong/2") / "stdin.jsonl").read_text()
    assert "A person has looked at what you were denied" in told
    assert "Bash: rm README.md" in told
    status = world.status("wrong")
    assert [(v["id"], v["halted"], v["allowed"]) for v in status["violation_list"]] == [
        ("wrong/1.1", True, True),
        ("wrong/2.1", True, False),
    ]
    assert [(a["id"], a["target"], a["by"]) for a in status["allowed"]] == [("wrong/1.1", "rm README.md", "cli")]
    assert "Allowed beyond the rules" in world.orchctl("status", "wrong").out
    again = world.orchctl("retry", "wrong", "--allow", "1.1")
    assert (again.code, "allowed already" in again.err) == (4, True)
    # Taken back, it is denied as before.
    assert world.orchctl("policy", "disallow", "wrong", "wrong/1.2").code == 5
    assert world.orchctl("policy", "disallow", "wrong", "wrong/1.1").code == 0
    assert world.status("wrong")["allowed"] == []
    assert world.orchctl("retry", "wrong", "--allow", "wrong/2.1").code == 0
    assert world.wait("wrong") == {"wrong": "failed"}
    assert [e["event"]["target"] for e in world.events("run.violation_seen", run=f"{DAY}/wrong/3")] == ["rm README.md"]


def test_what_protects_the_daemon_cannot_be_allowed(make_world):
    world = make_world(
        lambda world: [
            scenario("bold", call(use("Write", file_path=f"{world.home}/config/policy.yaml", content="")), say("Done."))
        ]
    )
    world.submit(task("bold"))
    assert world.wait() == {"bold": "failed"}
    refused = world.orchctl("retry", "bold", "--allow", "bold/1.1")
    assert (refused.code, "cannot be allowed" in refused.err) == (4, True)


def test_a_daemon_that_dies_between_the_record_and_the_halt_halts_after_its_restart(make_world, monkeypatch):
    """
    No denial left it: the next one reads again what it recorded, and sees the agent ended.
    """
    world = make_world(
        [scenario("bad", bash("git commit -am x"), write("late.txt", "late"), say("Done."))], start=False
    )
    monkeypatch.setattr(
        type(world),
        "_watching",
        property(
            lambda _: {
                "ORCHESTRD_TESTING": "1",
                "ORCHESTRD_FAILPOINTS": "session.violation.recorded=kill",
            }
        ),
    )
    world.start()
    world.submit(task("bad", retries=0))
    assert world.daemon.wait(60) == -9
    monkeypatch.undo()
    # Its agent may be ended by then, or wait for what its response used to be told: either way it is ended, and once.
    assert world.events("run.stopping")[0]["event"]["cause"] == "violation"
    world.start()
    assert world.wait() == {"bad": "failed"}
    assert until(lambda: not world.agents())
    assert world.status("bad")["outcome"] == "violation"
    assert not (world.workspace("bad") / "tree" / "late.txt").exists()
    assert len(world.events("run.violation_seen")) == 1
