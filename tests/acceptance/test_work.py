"""
What becomes of the work: looked at, checked, taken over, tried again.
"""

from __future__ import annotations

import pytest
from kit.rpc import RpcError
from kit.script import DAY, bash, gate, say, scenario, task, write
from kit.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def untouched(world: World) -> tuple[str, ...]:
    """
    What of the project's git belongs to the person alone.
    """
    index = (world.project / ".git" / "index").read_bytes().hex()
    return (index, world.git("rev-parse", "HEAD"), world.git("stash", "list"), world.git("for-each-ref"))


def test_apply_brings_work_over_unstaged(make_world):
    world = make_world(
        [
            scenario("first", write("docs/A.md", "# A\n"), bash("printf 'more\\n' >> README.md"), say("Done.")),
            scenario(
                "second", bash("cat docs/A.md && printf 'second\\n' >> docs/A.md"), write("b.txt", "b\n"), say("Done.")
            ),
        ]
    )
    # The person is in the middle of something: staged, unstaged and untracked work of their own.
    (world.project / "src" / "app.py").write_text("print('mine')\n")
    world.git("add", "src/app.py")
    (world.project / "src" / "app.py").write_text("print('mine, later')\n")
    (world.project / "own.txt").write_text("own\n")
    world.git("status")
    world.submit(task("first"), task("second", depends_on=["first"]))
    assert world.wait() == {"first": "succeeded", "second": "succeeded"}
    before, status = untouched(world), world.git("status", "--porcelain")
    # The dependent task stands on its dependency's work; its own diff holds only its own.
    assert (world.workspace("second") / "tree" / "docs" / "A.md").read_text() == "# A\nsecond\n"
    # Agents start from what the person sees, not from the last commit.
    assert (world.workspace("first") / "tree" / "src" / "app.py").read_text() == "print('mine, later')\n"
    diff = world.orchctl("diff", "second").out
    assert "+second" in diff
    assert "+# A" not in diff
    assert "b.txt" in world.orchctl("diff", "second", "--stat").out
    dry = world.orchctl("apply", "first", "--dry-run", "--json")
    assert (dry.code, dry.json["created"], dry.json["modified"]) == (0, ["docs/A.md"], ["README.md"])
    assert world.git("status", "--porcelain") == status
    done = world.orchctl("apply", "second", "first", "--json")
    assert done.code == 0, done
    assert sorted(done.json["created"]) == ["b.txt", "docs/A.md"]
    assert (world.project / "docs" / "A.md").read_text() == "# A\nsecond\n"
    assert (world.project / "README.md").read_text() == "# Example\nmore\n"
    assert (world.project / "b.txt").read_text() == "b\n"
    assert (world.project / "src" / "app.py").read_text() == "print('mine, later')\n"
    assert untouched(world) == before
    assert set(world.git("status", "--porcelain").splitlines()) == {
        " M README.md",
        "MM src/app.py",
        "?? b.txt",
        "?? docs/",
        "?? own.txt",
    }
    assert world.status("first")["applied_at"]
    assert "Applied: yes" in world.orchctl("report").out
    # Taken over already: nothing to do, and no harm.
    again = world.orchctl("apply", "first", "second", "--json")
    assert again.code == 0, again
    assert again.json["created"] == again.json["modified"] == []
    assert (world.project / "README.md").read_text() == "# Example\nmore\n"


def test_a_conflict_touches_nothing(make_world):
    world = make_world(
        [
            scenario(
                "a",
                bash("printf 'theirs\\n' > README.md"),
                write("new.txt", "new"),
                write("src/fine.py", "fine"),
                say("Done."),
            )
        ]
    )
    world.submit(task("a"))
    assert world.wait() == {"a": "succeeded"}
    (world.project / "README.md").write_text("mine\n")
    (world.project / "new.txt").write_text("mine too\n")
    before, status = untouched(world), world.git("status", "--porcelain")
    done = world.orchctl("apply", "a")
    assert done.code == 4, done
    assert "README.md" in done.out + done.err
    assert "new.txt" in done.out + done.err
    assert untouched(world) == before
    assert world.git("status", "--porcelain") == status
    assert (world.project / "README.md").read_text() == "mine\n"
    assert (world.project / "new.txt").read_text() == "mine too\n"
    assert not (world.project / "src" / "fine.py").exists()
    assert world.status("a")["applied_at"] is None
    assert not world.events("task.applied")


def test_work_that_is_not_done_is_not_applied(make_world):
    world = make_world([scenario("a", write("a.txt", "a\n"), gate("busy"), say("Done."))])
    world.submit(task("a"))
    held = world.gate.arrive("busy")
    done = world.orchctl("apply", "a")
    assert done.code == 4
    assert "running" in done.err
    # But looked at it can be, while it is under way.
    assert "a.txt" in world.orchctl("diff", "a").out
    assert world.orchctl("apply", "nobody").code == 5
    held.release()
    assert world.wait() == {"a": "succeeded"}
    assert world.orchctl("apply", "a").code == 0


def test_checks_decide_about_success(make_world):
    world = make_world(
        [
            scenario("good", write("ok.txt", "ok"), say("Done.")),
            scenario("bad", write("ok.txt", "not"), say("I am done, believe me.")),
            scenario("slow", say("Done.")),
        ],
        config={"retries": 0},
    )
    checks = [
        {"name": "content", "run": "grep -qx ok ok.txt"},
        {"name": "git is clean", "run": "echo evidence; test -e .git"},
    ]
    world.submit(
        task("good", checks=checks),
        task("bad", checks=checks),
        task("slow", checks=[{"name": "too long", "run": "exec sleep 300", "timeout": "1s"}]),
        task("after", depends_on=["bad"]),
    )
    assert world.wait() == {"good": "succeeded", "bad": "failed", "slow": "failed", "after": "queued"}
    good, bad, slow = (world.status(name) for name in ("good", "bad", "slow"))
    assert [(c["name"], c["status"]) for c in good["checks"]] == [("content", "passed"), ("git is clean", "passed")]
    assert [(c["name"], c["status"]) for c in bad["checks"]] == [("content", "failed"), ("git is clean", "passed")]
    assert (bad["outcome"], bad["why"]) == ("failed", "check failed: content")
    assert [(c["name"], c["status"]) for c in slow["checks"]] == [("too long", "timed_out")]
    report = world.orchctl("report").out
    assert "`content`: passed" in report
    assert "`content`: failed" in report
    assert "`too long`: timed_out" in report
    assert (world.run_dir("good/1") / "check-2.log").read_text() == "evidence\n"
    assert len(world.events("task.checking")) == 3


def test_retry_starts_anew(make_world):
    world = make_world(
        [
            scenario(
                "flaky",
                bash("ls; echo tried >> tries.txt"),
                say("Done."),
            )
        ],
        config={"retries": 0},
    )
    world.submit(task("flaky", checks=[fails(world, 1)]))
    assert world.wait() == {"flaky": "failed"}
    assert world.status("flaky")["why"] == "check failed: flaky"
    first = world.events("run.exited")[0]["event"]
    assert [f["path"] for f in first["files"]] == ["tries.txt"]
    request = "6b0f1d54-0000-4000-8000-000000000001"
    answers = [world.rpc("task.retry", tasks=["flaky"], request_id=request) for _ in range(3)]
    assert answers == [{"changed": [f"{DAY}/flaky"], "unchanged": [], "notes": []}] * 3
    assert world.wait() == {"flaky": "succeeded"}
    assert len(world.events("task.requeued")) == 1
    runs = [e["event"] for e in world.events("run.started")]
    assert [(r["attempt"], r["resumes"]) for r in runs] == [(1, False), (2, False)]
    assert runs[0]["session"] != runs[1]["session"]
    # A fresh tree: what the first attempt left is not in it, but is not lost either.
    assert (world.workspace("flaky") / "tree" / "tries.txt").read_text() == "tried\n"
    assert "tries.txt" in world.orchctl("diff", "flaky", "--attempt", "1").out
    assert world.status("flaky")["attempts"] == 2
    assert world.status()["cost"]["spent_usd"] * 1e9 == pytest.approx(world.truth(), abs=1000)


def fails(world, times: int) -> dict[str, str]:
    """
    A check that fails so many times, then passes.
    """
    tries = "; ".join(f"mkdir {world.root}/try-{number} 2>/dev/null && exit 1" for number in range(times))
    return {"name": "flaky", "run": f"{tries}; exit 0"}


def test_failed_tasks_are_tried_again_by_themselves(make_world):
    world = make_world([scenario("flaky", say("Done."))], config={"retries": 2})
    world.submit(task("flaky", checks=[fails(world, 2)]))
    assert world.wait() == {"flaky": "succeeded"}
    assert world.status("flaky")["attempts"] == 3
    again = [e["event"] for e in world.events("task.requeued")]
    assert [e["reason"].split(":")[0] for e in again] == ["retry 1 of 2 after", "retry 2 of 2 after"]


def test_a_submission_under_one_request_id_acts_once(make_world):
    world = make_world([scenario("a", say("Done.")), scenario("b", say("Done."))])
    path = world.day(task("a"))
    first = world.rpc("task.submit", path=str(path), request_id="one")
    seen = len(world.events("task.submitted"))
    world.day(task("a"), task("b"))
    assert world.rpc("task.submit", path=str(path), request_id="one") == first
    assert len(world.events("task.submitted")) == seen == 1
    # Also over a restart of the daemon.
    world.kill()
    world.start()
    assert world.rpc("task.submit", path=str(path), request_id="one") == first
    assert world.rpc("task.submit", path=str(path), request_id="two")["accepted"] == ["b"]
    with pytest.raises(RpcError, match=r"request_id one was used for .*task\.submit"):
        world.rpc("task.cancel", tasks=["a"], request_id="one")
    assert world.wait() == {"a": "succeeded", "b": "succeeded"}
