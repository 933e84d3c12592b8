"""
F21: the daemon dies between the commit of a write and its reply.  Whoever asks again under the same request id gets the
answer that was lost, and nothing happens twice; ``orchctl`` asks again by itself.
"""

from __future__ import annotations

import subprocess
import threading

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import ask, gate, say, stream, write
from kit.files import wait_file
from kit.processes import until
from kit.rpc import Link, RpcError
from kit.script import DAY, question, task

from orchestrd.failpoint import APPLYING

pytestmark = pytest.mark.slow
POINT = "rpc.synced.before_reply=kill"

MUTANTS = (
    Mutant(
        "replies are not kept",
        file="services/store.py",
        old="            batch.replies.append(reply)\n",
        new="",
        test="test_the_answer_that_was_lost_is_given_again",
    ),
    Mutant(
        "a request id is not looked up",
        file="services/store.py",
        old="if job.request is not None and job.request in given:",
        new="if False:",
        test="test_the_answer_that_was_lost_is_given_again",
    ),
    Mutant(
        "the reply is sent before the write is on disk",
        file="services/store.py",
        old="        batch.rows = list(draft.own_rows())\n",
        new="        batch.rows = list(draft.own_rows())\n        for job in jobs:\n            job.finish()\n",
        test="test_no_answer_before_it_is_on_disk",
    ),
    Mutant(
        "one id stands for two different writes",
        file="services/store.py",
        old="    if known.method != method:\n",
        new="    if False:\n",
        test="test_one_id_is_one_write",
    ),
    Mutant(
        "what a request needs is looked at before what was answered to it",
        file="edges/handlers.py",
        old="        return await act() if known is None else known\n",
        new="        return await act()\n",
        test="test_what_was_needed_is_gone_when_it_is_asked_again",
    ),
    Mutant(
        "orchctl asks again as if it were another write",
        file="../orchctl/client.py",
        old="            return self._exchange(method, params or api.Nothing(), timeout)\n",
        new="            again = msgspec.structs.replace(params, request_id=str(uuid.uuid4()))\n"
        "            return self._exchange(method, again, timeout)\n",
        test="test_orchctl_outlasts_the_daemon_that_did_not_answer",
    ),
    Mutant(
        "orchctl gives up when the daemon is away",
        file="../orchctl/client.py",
        old="outlast = max(outlast, DOUBT_SECONDS)",
        new="outlast = max(outlast, 0.0)",
        test="test_orchctl_outlasts_the_daemon_that_did_not_answer",
    ),
    Mutant(
        "an apply is carried out before it is looked up",
        file="services/work.py",
        old="        given = await self._store.given(request, method)\n",
        new="        given = None\n",
        test="test_an_apply_is_carried_out_once",
    ),
    Mutant(
        "nobody records what a daemon that died brought over",
        file="services/work.py",
        old="        for landing in await applying.landed(self._repo):\n",
        new="        for landing in ():\n",
        test="test_an_apply_that_is_cut_off_anywhere[apply.landed]",
    ),
    Mutant(
        "what was brought over is recorded at the next apply only",
        file="daemon.py",
        old="        writing.start_soon(daemon.settle)\n",
        new="",
        test="test_what_was_brought_over_is_recorded_by_the_next_daemon",
    ),
    Mutant(
        "what was brought over is forgotten before it is recorded",
        file="workspace/transaction.py",
        old="        if note is None:\n            forget(stage.place)\n",
        new="        forget(stage.place)\n",
        test="test_an_apply_that_is_cut_off_anywhere[apply.landed]",
    ),
    Mutant(
        "what the person put back counts as something else",
        file="workspace/exchange.py",
        old="                    return there is not None and there == digest(str(old), algorithm=self._algorithm)\n",
        new="                    return False\n",
        test="test_a_person_mends_what_an_apply_left_half_way",
    ),
    Mutant(
        "what the person wrote is in the way of the start",
        file="workspace/exchange.py",
        old="                except FileExistsError:\n                    there",
        new="                except NotImplementedError:\n                    there",
        test="test_a_person_mends_what_an_apply_left_half_way",
    ),
)


def prepare(world, method: str) -> dict:
    """
    The parameters of a *method* that has something to do.
    """
    world.script("asks", [ask(question("Which?", "One", "Two")), say()])
    world.script("held", [gate("held"), say()])
    world.script("fails", [{"do": "exit", "code": 3}], [gate("again"), say()])
    if method == "task.submit":
        path = world.day(task("held"), task("asks"), day=DAY)
        return {"path": str(path), "text": path.read_text(encoding="utf-8")}
    world.submit_tasks(task("asks"), task("held"), task("fails", retries=0), day=DAY)
    world.wait_event("question.asked")
    world.gate.arrive("held")
    world.wait_event("task.failed")
    return {
        "question.answer": {"task": "asks", "options": ["B"]},
        "task.cancel": {"tasks": ["held"]},
        "task.retry": {"tasks": ["fails"]},
    }[method]


METHODS = ("task.submit", "question.answer", "task.cancel", "task.retry")
WRITTEN = ("task.submitted", "question.answered", "task.requeued", "run.stopping", "task.cancelled")


@pytest.mark.parametrize("method", METHODS)
def test_the_answer_that_was_lost_is_given_again(fault_world, tally, method):
    world = fault_world()
    params = prepare(world, method)
    world.kill()
    world.start(POINT)
    before = len(world.events(*WRITTEN))
    with pytest.raises((EOFError, ConnectionResetError)), Link(world.socket) as link:
        link.call(method, **params, request_id="mine")
    assert world.died() == -9
    world.start()
    first = world.rpc(method, **params, request_id="mine")
    world.acknowledged["mine"] = (method, first)
    again = world.rpc(method, **params, request_id="mine")
    if method == "question.answer":
        # What became of the question since then is told as it is.
        again |= {key: first[key] for key in ("state", "waited_seconds")}
    assert again == first
    facts = world.events(*WRITTEN)
    made = [
        (e["type"], e["event"].get("task") or e["event"].get("question") or e["event"]["run"]) for e in facts[before:]
    ]
    assert made
    assert len(made) == len(set(made)), "it happened twice"
    if method == "task.submit":
        assert first["accepted"] == ["held", "asks"], "told what was there before"
    elif method == "question.answer":
        assert (first["answer"], first["answered_by"]) == ("Two", "cli")
    else:
        assert first["changed"] == [f"{DAY}/{params['tasks'][0]}"]
    found = check(world, acknowledged=["mine"])
    tally(row="F21", kills=2, **found.counts)


def test_no_answer_before_it_is_on_disk(fault_world, tally):
    """
    The journal gets no further with a write: others are answered meanwhile, its own caller is not.
    """
    point, passes = "journal.written.before_commit", "passes-{}"
    world = fault_world()
    params = prepare(world, "task.submit")
    world.kill()
    # How often a start by itself comes there.
    world.start(log=world.root / passes.format(1))
    until(lambda: len(world.events("daemon.started")) == 2)
    world.kill()
    own = (world.root / passes.format(1)).read_text().split().count(point)
    world.start(f"{point}=hang@{own + 1}", log=world.root / passes.format(2))
    with Link(world.socket) as link, Link(world.socket) as other:
        link.ask("task.submit", **params, request_id="mine")
        wait_file(world.root / passes.format(2), lambda data: data.split().count(point.encode()) > own)
        assert other.call("daemon.status")["pid"] == world.daemon.pid
        with pytest.raises(TimeoutError):
            link.line(0.5)
        world.kill()
        with pytest.raises((EOFError, ConnectionResetError)):
            link.line(60)
    world.start()
    assert world.rpc("task.submit", **params, request_id="mine")["accepted"] == ["held", "asks"]
    tally(row="F21", kills=3, **check(world, acknowledged=["mine"]).counts)


@pytest.mark.parametrize("method", ["task.submit", "task.apply"])
def test_what_was_needed_is_gone_when_it_is_asked_again(fault_world, tally, method):
    """
    The task file and the agent's program; the task's work and the project as it was.
    """
    world = fault_world()
    world.script("writes", [write("new.txt", "new"), say()])
    path = world.day(task("writes"), day=DAY)
    params = {"path": str(path)}
    if method == "task.apply":
        world.rpc("task.submit", **params)
        assert world.wait() == {"writes": "succeeded"}
        params = {"tasks": ["writes"]}
    first = world.rpc(method, **params, request_id="mine")
    world.acknowledged["mine"] = (method, first)
    assert world.wait() == {"writes": "succeeded"}
    if method == "task.submit":
        path.unlink()
        world.cli.rename(world.cli.with_name("moved"))
    else:
        assert first["created"] == ["new.txt"]
        (world.project / "new.txt").write_text("mine", encoding="utf-8")
    world.kill()
    world.start()
    assert world.rpc(method, **params, request_id="mine") == first
    if method == "task.submit":
        with pytest.raises(RpcError, match="there is no such file"):
            world.rpc(method, **params, request_id="other")
    else:
        assert world.rpc(method, **params, request_id="other")["conflicts"]
        assert (world.project / "new.txt").read_text(encoding="utf-8") == "mine"
    tally(row="F21", kills=1, **check(world, acknowledged=["mine"]).counts)


def test_one_id_is_one_write(fault_world, tally):
    world = fault_world()
    params = prepare(world, "task.cancel")
    world.kill()
    world.start(POINT)
    with pytest.raises((EOFError, ConnectionResetError)), Link(world.socket) as link:
        link.call("task.cancel", **params, request_id="mine")
    assert world.died() == -9
    world.start()
    for method, other in (("task.retry", params), ("task.cancel", {"tasks": ["asks"]})):
        with pytest.raises(RpcError, match=r"was used for another task\.cancel before"):
            world.rpc(method, **other, request_id="mine")
    assert world.status("asks")["state"] == "waiting"
    tally(row="F21", kills=2, **check(world, acknowledged=["mine"]).counts)


@pytest.mark.parametrize("command", ["submit", "answer", "cancel"])
def test_orchctl_outlasts_the_daemon_that_did_not_answer(fault_world, tally, command):
    """
    The daemon is away for as long as it takes to start another; the command knows nothing of it and ends well.
    """
    world = fault_world()
    method = {"submit": "task.submit", "answer": "question.answer", "cancel": "task.cancel"}[command]
    params = prepare(world, method)
    world.kill()
    world.start(POINT)
    words = {
        "submit": ["submit", params.get("path", "")],
        "answer": ["answer", "asks", "--option", "B"],
        "cancel": ["cancel", "held"],
    }[command]
    done = []
    caller = threading.Thread(target=lambda: done.append(world.orchctl(*words, "--json")))
    caller.start()
    assert world.died() == -9
    world.start()
    caller.join(60)
    (found,) = done
    assert found.code == 0, found
    if command == "submit":
        assert found.json["accepted"] == ["held", "asks"], "told what was there before"
        assert len(world.events("task.submitted")) == 2
    elif command == "answer":
        assert found.json["answer"] == "Two"
        assert len(world.events("question.answered")) == 1
    else:
        assert found.json["changed"] == [f"{DAY}/held"]
    tally(row="F21", kills=2, note=f"orchctl {command}", **check(world).counts)


# -- apply: what happens outside of the journal -------------------------------------------------------------------------

FILES = {"kept.txt": "one\n", "same.txt": "one\n", "gone.txt": "one\n", "other.txt": "one\n"}


def worked(fault_world):
    """
    A world with work to be brought over: one file is new, three are changed.
    """
    world = fault_world(files=FILES)
    changed = [write(name, "by the agent\n") for name in ("kept.txt", "same.txt", "other.txt")]
    world.script("a", [write("new.txt", "by the agent\n"), *changed, say()])
    world.submit_tasks(task("a", retries=0), day=DAY)
    assert world.wait() == {"a": "succeeded"}
    return world


def told(found) -> tuple[list[str], list[str]]:
    return found["created"], found["modified"]


BROUGHT = (["new.txt"], ["kept.txt", "other.txt", "same.txt"])


def test_an_apply_is_carried_out_once(fault_world, tally):
    world = worked(fault_world)
    first = world.rpc("task.apply", tasks=["a"], request_id="mine")
    world.acknowledged["mine"] = ("task.apply", first)
    assert told(first) == BROUGHT
    # The person goes on, and takes back what would come over once more.
    (world.project / "new.txt").unlink()
    (world.project / "kept.txt").write_text("one\n")
    assert world.rpc("task.apply", tasks=["a"], request_id="mine") == first
    assert not (world.project / "new.txt").exists()
    assert (world.project / "kept.txt").read_text() == "one\n"
    with pytest.raises(RpcError, match=r"was used for another task\.apply before"):
        world.rpc("task.apply", tasks=[f"{DAY}/a"], request_id="mine")
    assert not (world.project / "new.txt").exists()
    assert len(world.events("task.applied")) == 1
    assert told(world.write("task.apply", tasks=["a"])) == (["new.txt"], ["kept.txt"])
    tally(row="F21", kills=0, note="apply, asked for twice", **check(world).counts)


@pytest.mark.parametrize("point", [*APPLYING, "journal.begun", "journal.committed"])
def test_an_apply_that_is_cut_off_anywhere(fault_world, tally, point):
    """
    Wherever the daemon dies, the same request is told the truth, and the files come over once.
    """
    world = worked(fault_world)
    passes = world.root / "passes"
    world.kill()
    world.start(log=passes)
    hit = 1 + passes.read_text().split().count(point)
    world.kill()
    world.start(f"{point}=kill@{hit}")
    found = world.write("task.apply", tasks=["a"], request_id="mine")
    assert len(world.lives) == 4, "nobody died"
    assert told(found) == BROUGHT
    assert {path.name: path.read_text() for path in world.project.glob("*.txt")} == {
        name: "one\n" if name == "gone.txt" else "by the agent\n" for name in (*FILES, "new.txt")
    }
    (applied,) = world.events("task.applied")
    assert sorted(applied["event"]["files"]) == sorted([*FILES, "new.txt"])[1:]
    # It is answered once it is recorded; its folder goes next.
    wait_file(world.project / "any", lambda _: not [*world.project.glob(".orchestrd-*")])
    tally(row="F21", kills=1, note="apply", **check(world).counts)


def test_what_was_brought_over_is_recorded_by_the_next_daemon(fault_world, tally):
    world = worked(fault_world)
    world.kill()
    world.start("apply.landed=kill")
    with pytest.raises((EOFError, ConnectionResetError)), Link(world.socket) as link:
        link.call("task.apply", tasks=["a"])
    assert world.died() == -9
    world.start()
    assert world.wait_event("task.applied")["event"]["task"] == f"{DAY}/a"
    wait_file(world.project / "any", lambda _: not [*world.project.glob(".orchestrd-*")])
    tally(row="F21", kills=1, note="apply, not asked for again", **check(world).counts)


def findings(world) -> list[dict]:
    found = world.orchctl("doctor", "--deep", "--json").json["checks"]
    return [one for one in found if one["status"] != "ok"]


def test_a_person_mends_what_an_apply_left_half_way(fault_world, tally):
    """
    Files are missing, and the person does not know that they would come back: one is put back, another written anew.
    """
    world = worked(fault_world)
    world.script("b", [gate("on"), stream(1), say()])
    world.submit_tasks(task("b", retries=0), day="2026-11-23")
    held = world.gate.arrive("on")
    world.kill()
    world.start("apply.emptied=kill")
    with pytest.raises((EOFError, ConnectionResetError)), Link(world.socket) as link:
        link.call("task.apply", tasks=[f"{DAY}/a"], request_id="mine")
    assert world.died() == -9
    assert [path.name for path in world.project.glob("*.txt")] == ["gone.txt"]
    subprocess.run(["git", "checkout", "-q", "--", "same.txt"], cwd=world.project, check=True)
    (world.project / "kept.txt").write_text("by the person\n")
    (warned,) = [f for f in findings(world) if f["name"] == "I10 work"]
    assert "cut off" in warned["detail"]
    assert "puts back" in warned["hint"]
    world.start()
    # Everything is as it was, but for what the person wrote: it stays, and what it took the place of is kept.
    assert {path.name: path.read_text() for path in world.project.glob("*.txt")} == FILES | {
        "kept.txt": "by the person\n"
    }
    (old,) = world.project.glob(".orchestrd-kept-*/files/*")
    assert old.name == "kept.txt"
    assert old.read_text() == "one\n"
    assert str(old) in world.log.read_text()
    (warned,) = findings(world)
    assert warned["subject"] == str(old.parents[1])
    assert "remove" in warned["hint"]
    # What is in the way now is told like anything else that is.
    found = world.write("task.apply", tasks=[f"{DAY}/a"], request_id="mine")
    assert [conflict["path"] for conflict in found["conflicts"]] == ["kept.txt"]
    held.release()
    assert world.wait("2026-11-23/b") == {"b": "succeeded"}
    world.acknowledged.pop("mine")
    tally(row="F21", kills=1, note="apply, mended by hand", **check(world).counts)
