"""
F25: the shim, the agent, or both are killed, with the daemon up and with the daemon down: the table of RELIABILITY, row for
row, on live daemons.
"""

from __future__ import annotations

import json
import os
import signal
from typing import NamedTuple

import msgspec
import pytest
from harness.check import check
from harness.lone import Lone, background, hook, tool_call, turn_over, words
from harness.mutant import Mutant
from harness.script import gate, grandchild, say, stream
from harness.world import FaultWorld
from kit.files import wait_file
from kit.processes import alive
from kit.script import DAY, task

from factories import QUESTION, RUN, answered
from orchestrd.domain import events as ev
from orchestrd.domain.model import Cause, Outcome
from orchestrd.domain.outcomes import cause_of
from orchestrd.runner.liveness import HUNG_SECONDS
from orchestrd.storage.rundir import ExitRecord

RUN_A, RUN_B = f"{DAY}/a/1", f"{DAY}/a/2"

STOPPED = {"type": "control_response", "response": {"subtype": "success", "request_id": "stop", "response": {}}}

MUTANTS = (
    Mutant(
        "who had no time to say that it rests was not done",
        file="runner/session.py",
        old=" or (row.stopping and self.interpreter.reported(messages))",
        new="",
        test="test_an_agent_is_ended_at_a_limit_before_it_could_say_that_it_rests[nothing left]",
    ),
    Mutant(
        "what an interrupt ended in the background was done",
        file="runner/interpreter.py",
        old="self.cut_short = self.cut_short or bool(self.background.tasks) or self.background.waking",
        new="pass",
        test="test_an_agent_is_ended_at_a_limit_before_it_could_say_that_it_rests[work in the background]",
    ),
    Mutant(
        "a run whose shim died counts as finished",
        file="runner/session.py",
        old="(self._dir.exit_record() is not None or self._voice.dismissed or rebooted)",
        new="(True)",
        test="test_a_turn_that_ended_for_want_of_a_shim_is_no_success",
    ),
    Mutant(
        "an agent whose shim has just died is let go as if it were done",
        file="runner/session.py",
        old="        if look(self._dir) is not Finding.ALIVE:\n            return\n",
        new="",
        test="test_a_turn_that_ended_for_want_of_a_shim_is_no_success[cut short between two looks]",
    ),
    Mutant(
        "an agent without its shim is left alone",
        file="runner/liveness.py",
        old="            case Finding.ORPHANED if waited < max(SHIM_DEATH_GRACE, self._grace):\n                return False\n",
        new="            case Finding.ORPHANED:\n                return False\n",
        test="test_killed[shim, daemon up]",
    ),
    Mutant(
        "the conversation of a lost run is not taken up",
        file="domain/retries.py",
        old="Cause.VANISHED: _lost(Outcome.ABANDONED)",
        new="Cause.VANISHED: Remedy(outcome=Outcome.ABANDONED, fault=Fault.MACHINE, resumes=False, counts=False)",
        test="test_killed[both, daemon down]",
    ),
    Mutant(
        "the next run is not told what was cut off",
        file="services/preparation.py",
        old="last.reason, tuple(lost), interrupted, allowed)",
        new="last.reason, tuple(lost), (), allowed)",
        test="test_killed[agent, daemon up]",
    ),
    Mutant(
        "a dead run is taken for a live one",
        file="runner/liveness.py",
        old="    (False, False, False): Finding.ABANDONED,",
        new="    (False, False, False): Finding.ALIVE,",
        test="test_killed[both, daemon up]",
    ),
    Mutant(
        "an answer is handed to an agent that cannot hear it",
        file="runner/session.py",
        old="self._attached and self._vigil.finding is Finding.ALIVE:",
        new="self._attached:",
        test="test_an_answer_is_kept_from_an_agent_without_its_shim",
    ),
    Mutant(
        "a shim that hangs is waited for for ever",
        file="runner/liveness.py",
        old="return told is not None and told > self._grace + HUNG_SECONDS and not spared",
        new="return False",
        test="test_a_shim_that_does_nothing_any_more_is_not_waited_for",
    ),
    Mutant(
        "a shim that was told to kill a frozen tree is waited for for ever",
        file="runner/ladder.py",
        old="            self._felled = True\n            self._note_end()\n",
        new="            self._felled = True\n",
        test="test_a_shim_that_hangs_is_not_waited_for_after_a_thaw",
    ),
    Mutant(
        "a record that was not renamed yet counts",
        file="storage/rundir.py",
        old="        return _decoded(self.exit, ExitRecord)\n",
        new='        return _decoded(self.exit, ExitRecord) or _decoded(self.path / "exit.json.new", ExitRecord)\n',
        test="test_the_shim_dies_at_its_record",
    ),
    Mutant(
        "work that was reported done is done again",
        file="runner/voice.py",
        old='            elif entry.get("request_id") == _LEAVE:\n                self.dismissed = True\n',
        new="",
        test="test_the_shim_dies_before_it_records[daemon down]",
    ),
)


class Case(NamedTuple):
    """
    Who is killed, with or without a daemon, and what comes of it.
    """

    killed: tuple[str, ...]
    daemon: bool
    outcome: str
    signal: int | None = None

    def __str__(self) -> str:
        who = self.killed[0] if len(self.killed) == 1 else "both"
        return f"{who}, daemon {'up' if self.daemon else 'down'}"


CASES = [
    Case(("shim",), True, "abandoned"),
    Case(("shim",), False, "abandoned"),
    Case(("agent",), True, "killed", signal.SIGKILL),
    Case(("agent",), False, "killed", signal.SIGKILL),
    Case(("shim", "agent"), True, "abandoned"),
    Case(("shim", "agent"), False, "abandoned"),
]


def pids(world: FaultWorld) -> dict[str, int]:
    """
    Shim and agent of the first run.
    """
    found: dict[str, int] = json.loads(wait_file(world.run_dir("a/1") / "process.json", bytes))
    return found


def opening(world: FaultWorld, run: str) -> str:
    """
    The first message to the agent of a run.
    """
    lines = (world.run_dir(run) / "stdin.jsonl").read_bytes().splitlines()
    return next(line["message"]["content"] for line in map(json.loads, lines) if line["type"] == "user")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_killed(fault_world, tally, case):
    """
    In the middle of a tool call; where one of the two is left, a grandchild is too, which holds the agent's lock.
    """
    world = fault_world()
    beside = [grandchild()] if len(case.killed) == 1 else []
    first = [
        stream(2),
        *beside,
        {"do": "tool", "name": "Bash", "input": {"command": "make all"}, "gate": "middle"},
    ]
    world.script("a", [*first, say()], [stream(1), say()])
    world.submit_tasks(task("a"), day=DAY)
    held = world.gate.arrive("middle")
    children = [row["pid"] for row in world.truth_rows("grandchild")]
    world.wait_event("run.tool_called", target="make all")
    mine = pids(world)
    assert held.pid == mine["agent"]
    if not case.daemon:
        world.kill()
    for name in case.killed:
        os.kill(mine[name], signal.SIGKILL)
    if not case.daemon:
        world.start()
    exited = world.wait_event("run.exited", run=RUN_A)["event"]
    assert (exited["outcome"], exited.get("signal")) == (case.outcome, case.signal)
    assert not any(map(alive, (mine["shim"], mine["agent"], *children)))
    assert exited["leftovers"] == len(children) == len(beside)
    assert exited["interrupted"] == ["Bash make all"]
    first_run, again = (world.wait_event("run.started", attempt=n)["event"] for n in (1, 2))
    assert (again["resumes"], again["session"]) == (True, first_run["session"])
    assert world.wait() == {"a": "succeeded"}
    assert "- Bash make all" in opening(world, "a/2")
    assert [e["event"]["outcome"] for e in world.events("run.exited")] == [case.outcome, "succeeded"]
    tally("F25", kills=len(case.killed) + (not case.daemon), **check(world).counts)


@pytest.mark.slow
@pytest.mark.parametrize("daemon", [True, False], ids=["daemon up", "daemon down"])
@pytest.mark.parametrize("point", ["before_rename", "renamed"])
def test_the_shim_dies_at_its_record(fault_world, tally, point, daemon):
    """
    The agent was killed; its shim dies as it writes that down.  What was renamed counts; what was not is lost.
    """
    world = fault_world(start=False)
    world.script("a", [stream(2), gate("middle"), say()], [stream(1), say()])
    # The shim takes the points that its daemon has.
    world.start(f"shim.exit.{point}=kill")
    world.submit_tasks(task("a"), day=DAY)
    held = world.gate.arrive("middle")
    if not daemon:
        world.kill()
    os.kill(held.pid, signal.SIGKILL)
    if not daemon:
        world.start()
    exited = world.wait_event("run.exited", run=RUN_A)["event"]
    assert exited["outcome"] == ("abandoned" if point == "before_rename" else "killed")
    world.kill()
    world.start()  # the next shims live
    assert world.wait() == {"a": "succeeded"}
    assert [e["event"]["resumes"] for e in world.events("run.started") if e["run"] == RUN_B] == [True]
    tally("F25", kills=2, **check(world).counts)


@pytest.mark.slow
@pytest.mark.parametrize("daemon", [True, False], ids=["daemon up", "daemon down"])
def test_the_shim_dies_before_it_records(fault_world, tally, daemon):
    """
    The agent reported its work done and was let go; nothing of that is lost with the record of its exit.
    """
    world = fault_world(start=False)
    world.script("a", [stream(2), say()])
    # Without a daemon: it dies when it has said good-bye, so that the next one only finds what is on disk.
    world.start("shim.exit.before_rename=kill" if daemon else "shim.exit.before_rename=hang")
    world.submit_tasks(task("a"), day=DAY)
    if not daemon:
        wait_file(world.run_dir("a/1") / "stdin.jsonl", lambda data: b'"end_session"' in data)
        mine = pids(world)
        world.wait_truth("end", run=RUN_A)
        world.kill()
        os.kill(mine["shim"], signal.SIGKILL)
        world.start()
    assert world.wait() == {"a": "succeeded"}
    assert world.status("a")["attempts"] == 1
    tally("F25", kills=1 + (not daemon), **check(world).counts)


@pytest.mark.anyio
@pytest.mark.parametrize("when", ["cut short", "cut short between two looks", "done before"])
async def test_a_turn_that_ended_for_want_of_a_shim_is_no_success(tmp_path, when):
    """
    Its stdin at its end, an agent ends its turn as if it were done.
    """
    lone = Lone(tmp_path / "run")
    lone.pretend()
    with lone.held:
        async with lone.driven():
            if when == "done before":
                lone.say(words("Done."), *turn_over())
                await lone.until(lambda: b'"end_session"' in lone.dir.sent())
                lone.shim.close()
            elif when == "cut short":
                lone.shim.close()
                lone.say(words("I cannot go on."), *turn_over())
            else:
                # While the agent writes, the session reads on before it looks whether the shim lives.
                lone.desk.once_heard = lambda: (lone.shim.close(), lone.say(*turn_over()))
                lone.say(tool_call())
                await lone.until(lambda: lone.desk.named("run.turn_ended"))
            await lone.rounds()
            lone.agent.close()
            await lone.until(lambda: lone.ending or _later(lone))
    ending = lone.ending[0]
    assert (ending.lost, ending.has_result, ending.finished) == (True, True, when == "done before")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ((), (), Cause.DONE),
        # What it had begun in the background was ended, whatever is told of that at the end.
        ((background("b1"),), (STOPPED, background()), Cause.TIMED_OUT),
    ],
    ids=["nothing left", "work in the background"],
)
async def test_an_agent_is_ended_at_a_limit_before_it_could_say_that_it_rests(tmp_path, before, after, cause):
    lone = Lone(tmp_path / "run")
    lone.pretend()
    with lone.held:
        async with lone.driven():
            result, _ = turn_over()
            running = {"type": "system", "subtype": "session_state_changed", "state": "running"}
            lone.say(running, words("Done."), *before, result)
            await lone.until(lambda: lone.desk.named("run.turn_ended"))
            await lone.desk.halt(RUN, Cause.TIMED_OUT, "it was time")
            await lone.until(lambda: b'"interrupt"' in lone.dir.sent())
            lone.say(*after)
            record = ExitRecord(version=1, signal=9, started_at=1.0, ended_at=2.0, stopped=True)
            lone.dir.exit.write_bytes(msgspec.json.encode(record))
            lone.shim.close()
            lone.agent.close()
            await lone.until(lambda: lone.ending or _later(lone))
    assert cause_of(lone.desk.row(RUN), lone.ending[0])[0] is cause


def _later(lone: Lone) -> None:
    lone.clock.now += 0.1


@pytest.mark.anyio
async def test_an_answer_is_kept_from_an_agent_without_its_shim(tmp_path):
    """
    It hears no more: the answer is for the run that follows.
    """
    lone = Lone(tmp_path / "run", grace=5.0)
    lone.pretend()
    with lone.held:
        async with lone.driven():
            lone.say(hook("r1", "AskUserQuestion", questions=[{"question": "Which?"}]))
            await lone.until(lambda: lone.desk.questions(RUN))
            lone.shim.close()
            # The look that is under way may have seen it alive; what that one writes is the subject of F30.
            await lone.rounds()
            lone.desk.tell(answered(QUESTION))
            await lone.rounds(4)
            assert lone.desk.questions(RUN)[0].state == "answered"
            assert b'"r1"' not in lone.dir.sent()


@pytest.mark.anyio
async def test_a_shim_that_hangs_is_not_waited_for_after_a_thaw(tmp_path):
    """
    It was told to kill a frozen agent that the person cancelled, and does nothing.
    """
    lone = Lone(tmp_path / "run", grace=1.0)
    lone.pretend()
    with lone.held:
        async with lone.driven():
            lone.desk.frozen = True
            lone.desk.tell(ev.RunStopping(run=RUN, outcome=Outcome.KILLED, reason="cancelled", cancelled=True))
            await lone.rounds(4)
            lone.desk.frozen = False
            await lone.rounds()
            await lone.pass_(HUNG_SECONDS)
            assert lone.ending is None
            await lone.pass_(2.0)
            await lone.until(lambda: lone.ending)


@pytest.mark.slow
def test_a_shim_that_does_nothing_any_more_is_not_waited_for(fault_world, tally):
    """
    Somebody stopped the shim, as an agent may: a cancel still ends the run, by the daemon's own hand.
    """
    world = fault_world(config={"agent": {"stop_grace": "1s"}})
    world.script("a", [stream(2), grandchild(), gate("middle"), say()])
    world.submit_tasks(task("a"), day=DAY)
    held = world.gate.arrive("middle")
    child = world.wait_truth("grandchild")["pid"]
    mine = pids(world)
    os.kill(mine["shim"], signal.SIGSTOP)
    world.write("task.cancel", tasks=["a"])
    exited = world.wait_event("run.exited", timeout=HUNG_SECONDS + 60.0)["event"]
    assert exited["leftovers"] == 1
    assert [alive(pid) for pid in (mine["shim"], held.pid, child)] == [False] * 3
    assert world.wait() == {"a": "cancelled"}
    tally("F25", kills=1, **check(world).counts)
