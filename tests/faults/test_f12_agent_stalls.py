"""
F12: an agent that gives no sign of life is stopped at the limit, and its tree is ended with or without a daemon.
"""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from harness.check import check
from harness.lone import SILENCE, Lone, account, background, hook, tool_call, tool_result, words
from harness.mutant import Mutant
from harness.script import gate, grandchild, say, silent, stream, stubborn
from kit.files import wait_file
from kit.script import DAY, task

from factories import RUN, answered
from orchestrd.domain.model import Cause, Outcome
from shimworld import Agent, alive, shimmed

TREE = """\
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for stopped in (False, True):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(1, b"%d\\n" % os.getpid())
            if stopped:
                os.kill(os.getpid(), signal.SIGSTOP)
            while True:
                time.sleep(600)
        os._exit(0)
    os.wait()
os.write(1, b"up\\n")
while True:
    time.sleep(600)
"""
"""
An agent that ignores SIGTERM, as do its two grandchildren in sessions of their own, of which one has stopped itself.  Each
line is one write: they share the pipe.
"""

MUTANTS = (
    Mutant(
        "the silence of ten minutes is taken for that of fifteen",
        file="runner/watchdog.py",
        old="if silent > self._limit:",
        new="if silent > self._limit * 2 / 3:",
        test="test_it_is_stalled_at_the_limit",
    ),
    Mutant(
        "output is no sign of life",
        file="runner/watchdog.py",
        old="if lives or not self._spoke:",
        new="if not self._spoke:",
        test="test_it_is_stalled_at_the_limit",
    ),
    Mutant(
        "a long command is taken for a stall",
        file="runner/interpreter.py",
        old="return bool(self.calls or self.background.delegates)",
        new="return bool(self.background.delegates)",
        test="test_silence_is_no_stall_while_something_is_waited_for",
    ),
    Mutant(
        "a subagent at work is taken for a stall",
        file="runner/interpreter.py",
        old="return bool(self.calls or self.background.delegates)",
        new="return bool(self.calls)",
        test="test_silence_is_no_stall_while_something_is_waited_for",
    ),
    Mutant(
        "a person who thinks is taken for a stall",
        file="runner/guard.py",
        old="waits = row.stands_still or not self._desk.reckoned",
        new="waits = not self._desk.reckoned",
        test="test_silence_is_no_stall_while_something_is_waited_for",
    ),
    Mutant(
        "the grace is never over",
        file="runner/shim.py",
        old="if self.deadline is not None and time.monotonic() >= self.deadline:",
        new="if False:",
        test="test_the_shim_alone_ends_a_tree_that_does_not_listen",
    ),
    Mutant(
        "what has stopped itself is not looked for",
        file="runner/shim.py",
        old='in tree().items() if state != "Z"]',
        new='in tree().items() if state not in "ZT"]',
        test="test_the_shim_alone_ends_a_tree_that_does_not_listen",
    ),
    Mutant(
        "an agent on its way down can be found silent as well",
        file="runner/session.py",
        old="not self.interpreter.meter.open)\n        else:\n",
        new="not self.interpreter.meter.open)\n        if True:\n",
        test="test_silence_while_stopping_is_no_second_reason",
    ),
    Mutant(
        "after a stall the conversation begins anew",
        file="domain/retries.py",
        old="Cause.STALLED: Remedy(outcome=Outcome.STALLED,",
        new="Cause.STALLED: Remedy(resumes=False, outcome=Outcome.STALLED,",
        test="test_a_silent_agent_is_ended_and_its_task_goes_on[silent]",
    ),
    Mutant(
        "the shim waits for a second word before it kills",
        file="runner/shim.py",
        old="                    self.deadline = deadline\n                    if grace:",
        new="                    self.deadline = None if grace else deadline\n                    if grace:",
        test="test_the_daemon_dies_after_it_told_the_shim",
    ),
)


def stalls(lone: Lone) -> list[str]:
    return [fact.outcome for fact in lone.desk.named("run.stopping")]


@pytest.mark.anyio
async def test_it_is_stalled_at_the_limit(lone, tally):
    async with lone.driven():
        lone.say(account(0))
        await lone.rounds()
        await lone.pass_(100.0)
        lone.say(words("I am here."))
        await lone.rounds()
        began = lone.clock.now
        while lone.clock.now - began < SILENCE - 1.0:
            await lone.pass_(min(90.0, SILENCE - 1.0 - (lone.clock.now - began)))
        assert stalls(lone) == []
        await lone.pass_(2.0)
        assert stalls(lone) == [Outcome.STALLED]
        assert lone.desk.row(RUN).stopping_reason == "it gave no sign of life for 15 min 00 s"
    tally("F12", note="stalled at the limit ± 1 s")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("lines", "release"),
    [
        ([tool_call()], [tool_result()]),
        ([background("a1", kind="local_agent")], [background()]),
        ([tool_call(), hook("r1", "AskUserQuestion", questions=[{"question": "Which?"}])], None),
    ],
    ids=["tool", "subagent", "person"],
)
async def test_silence_is_no_stall_while_something_is_waited_for(lone, lines, release):
    """
    A command that takes a day, a subagent in the background, and a person who thinks; when it is over, silence counts again,
    from then on.
    """
    async with lone.driven():
        lone.say(account(0), *lines)
        await lone.rounds()
        if release is None:
            # The call under way is not what excuses it.
            lone.say(tool_result())
            await lone.rounds()
            assert lone.desk.row(RUN).waiting_since is not None
        await lone.pass_(86_400.0)
        assert stalls(lone) == []
        if release is None:
            question = lone.desk.questions(RUN)[0]
            lone.desk.tell(answered(question.id))
        else:
            lone.say(*release)
        await lone.rounds()
        await lone.pass_(SILENCE - 1.0)
        assert stalls(lone) == []
        await lone.pass_(2.0)
        assert stalls(lone) == [Outcome.STALLED]


@pytest.mark.anyio
async def test_silence_while_stopping_is_no_second_reason(lone):
    again: list[Cause] = []

    async def halt(_run: str, cause: Cause, _reason: str) -> None:
        again.append(cause)

    async with lone.driven():
        await lone.desk.halt(RUN, Cause.TIMED_OUT, "too long")
        # The desk would leave out whatever comes after the first.
        lone.desk.halt = halt
        await lone.pass_(10 * SILENCE)
        assert stalls(lone) == [Outcome.TIMED_OUT]
    assert again == []


async def _up(agent: Agent) -> list[int]:
    """
    The agent with its tree, and the processes of it.
    """
    await agent.python(TREE)
    words = await agent.until(lambda: len(found := agent.output.split()) == 3 and found)
    return [agent.pids["agent"], *(int(word) for word in words if word.isdigit())]


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True], ids=["stubborn", "SIGSTOPped"])
async def test_the_shim_alone_ends_a_tree_that_does_not_listen(tmp_path, frozen, tally):
    """
    No daemon, only the shim that was told once: TERM, the grace, KILL, whatever session a process is in.
    """
    with shimmed(tmp_path / "run") as agent:
        tree = await _up(agent)
        if frozen:
            os.kill(tree[0], signal.SIGSTOP)
        began = time.monotonic()
        agent.dir.tell("stop 1.0")
        await agent.until(lambda: not alive(tree[0]))
        assert time.monotonic() - began >= 1.0
        record = await agent.ended()
        took = time.monotonic() - began
        assert (record.signal, record.stopped) == (signal.SIGKILL, True)
        assert 1.0 <= took < 15.0
        assert not any(map(alive, tree))
    tally("F12", kills=1, note="the shim alone: TERM, grace, KILL of the tree")


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True], ids=["silent", "SIGSTOPped"])
def test_a_silent_agent_is_ended_and_its_task_goes_on(fault_world, tally, frozen):
    """
    A live daemon and real processes; the conversation is taken up again.
    """
    world = fault_world(config={"agent": {"silence_limit": "2s", "stop_grace": "1s"}}, start=False)
    world.script("mute", [stubborn(), grandchild(stubborn=True), stream(2), silent()], [stream(1), say()])
    world.script("held", [gate("frozen"), say()], [stream(1), say()])
    world.start()
    world.submit_tasks(task("held" if frozen else "mute"), day=DAY)
    if frozen:
        held = world.gate.arrive("frozen")
        os.kill(held.pid, signal.SIGSTOP)
    stopping = world.wait_event("run.stopping")
    assert stopping["event"]["outcome"] == "stalled"
    exited = world.wait_event("run.exited")["event"]
    assert (exited["outcome"], exited["signal"]) == ("stalled", signal.SIGKILL)
    stopped, ended = (world.events(name)[0]["at"] for name in ("run.stopping", "run.exited"))
    # TERM after the interrupt's three seconds, KILL after the grace, two more for what ignored TERM beside it.
    assert ended - stopped < 30
    again = world.wait_event("run.started", attempt=2)["event"]
    assert again["resumes"]
    assert again["session"] == world.events("run.started")[0]["event"]["session"]
    # Ten seconds of pause after a stall.
    assert set(world.wait().values()) == {"succeeded"}
    tally("F12", kills=1, **check(world).counts)


@pytest.mark.slow
def test_the_daemon_dies_after_it_told_the_shim(fault_world, tally):
    """
    TERM, grace and KILL are the shim's own: they come with nobody left to ask for them.
    """
    world = fault_world(config={"agent": {"silence_limit": "1s", "stop_grace": "4s"}, "retries": 0}, start=False)
    world.script("mute", [stubborn(), grandchild(stubborn=True), stream(2), silent()])
    world.start()
    world.submit_tasks(task("mute"), day=DAY)
    child = world.wait_truth("grandchild")["pid"]
    world.wait_event("run.stopping")
    stopping = world.events("run.stopping")[0]["at"]
    pid = world.agent_pid("mute/1")
    control = world.run_dir("mute/1") / "control.fifo"
    # The interrupt wakes the shim at once; what comes three seconds later is the order to end.
    deadline = time.monotonic() + 60.0
    while control.stat().st_mtime < stopping + 2.0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    world.kill()
    assert alive(pid)
    record = json.loads(wait_file(world.run_dir("mute/1") / "exit.json", bytes))
    assert (record["stopped"], record["signal"]) == (True, signal.SIGKILL)
    assert not alive(pid)
    assert not alive(child)
    world.start()
    assert world.wait() == {"mute": "failed"}
    assert world.status("mute")["outcome"] == "stalled"
    tally("F12", kills=1, **check(world).counts)
