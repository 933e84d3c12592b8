"""
F9, the second half: an agent's output that is shorter than what was read of it.  The facts stand, the loss is a fact too,
and the run goes on or settles.
"""

from __future__ import annotations

import os
import signal

import pytest
from harness.check import check
from harness.lone import Lone, account, hook, tool_call, tool_result, words
from harness.mutant import Mutant
from harness.script import gate, result, say, stream
from kit.files import ask_by_file
from kit.script import DAY, task

from factories import RUN
from orchestrd.domain.model import Outcome

MUTANTS = (
    Mutant(
        "a cut that nobody sees",
        file="runner/intake.py",
        old="return None if size >= read else",
        new="return None if size >= 0 else",
        test="test_cut_while_no_daemon_lived",
    ),
    Mutant(
        "a cut is only seen at a start",
        file="runner/intake.py",
        old="read = max(self._offset, self.cursor)",
        new="read = self.cursor if not self._offset else 0",
        test="test_cut_under_a_live_session",
    ),
    Mutant(
        "half a line is glued to the next one",
        file="runner/intake.py",
        old="        self._stream.restart(size)\n",
        new="",
        test="test_cut_while_no_daemon_lived",
    ),
    Mutant(
        "the next daemon glues half a line to the next one",
        file="runner/intake.py",
        old="if self._offset == self.cursor != self._stream.consumed:",
        new="if False:",
        test="test_a_second_restart_after_a_cut",
    ),
    Mutant(
        "an agent that cannot be heard is waited for",
        file="runner/guard.py",
        old="        elif inaudible:\n",
        new="        elif False:\n",
        test="test_output_that_is_gone",
    ),
    Mutant(
        "a call whose end was lost excuses silence for ever",
        file="runner/guard.py",
        old="occupied=interpreter.occupied and not row.cut,",
        new="occupied=interpreter.occupied,",
        test="test_a_lost_line_is_no_reason_to_wait_for_ever",
    ),
    Mutant(
        "what a lost result covered is counted again",
        file="runner/settlement.py",
        old="prices) if row.cut else",
        new="prices) if False else",
        test="test_nothing_is_counted_twice_after_a_cut",
    ),
    Mutant(
        "a run whose output is gone is never settled",
        file="runner/session.py",
        old="        if over and not grew:\n",
        new="        if over and not grew and not self._intake.inaudible(cut=True):\n",
        test="test_output_that_is_gone_with_its_agent",
    ),
    Mutant(
        "output that is not there yet is taken for gone",
        file="runner/intake.py",
        old='return "its output file is gone" if cut else ""',
        new='return "its output file is gone"',
        test="test_a_file_that_is_not_there_yet_is_waited_for",
    ),
)
pytestmark = pytest.mark.anyio


def calls(lone: Lone) -> list[str]:
    return [fact.call for fact in lone.desk.named("run.tool_called")]


def damages(lone: Lone) -> list[tuple[int, int, bool]]:
    return [(fact.offset, fact.length, fact.cut) for fact in lone.desk.named("run.stream_damaged")]


async def heard_three(lone: Lone) -> int:
    """
    A daemon's life in which three calls are recorded; gives the size of the output.
    """
    async with lone.driven():
        for name in ("a", "b", "c"):
            lone.say(tool_call(name, f"m-{name}"), tool_result(name))
        await lone.until(lambda: len(lone.desk.named("run.tool_returned")) == 3)
    assert lone.desk.cursor == lone.dir.stdout.stat().st_size
    return lone.desk.cursor


@pytest.mark.parametrize("keep", ["nothing", "half a line", "whole lines"])
async def test_cut_while_no_daemon_lived(lone, keep, tally):
    size = await heard_three(lone)
    whole = lone.dir.stdout.read_bytes().find(b"\n") + 1
    left = {"nothing": 0, "half a line": whole + 40, "whole lines": whole}[keep]
    os.truncate(lone.dir.stdout, left)
    before = list(lone.desk.facts)
    async with lone.driven():
        await lone.until(lambda: damages(lone))
        lone.say(tool_call("d", "m-d"), hook("r-d"))
        await lone.until(lambda: "d" in calls(lone))
        # Heard is not enough: it waits for leave, and that for a moment in which its response may end.
        await lone.pass_(1.0)
        await lone.until(lambda: b'"r-d"' in lone.dir.sent())
    assert lone.desk.facts[: len(before)] == before
    assert damages(lone) == [(left, size - left, True)]
    assert calls(lone) == ["a", "b", "c", "d"]
    assert lone.desk.row(RUN).cut
    tally("F9", checked=len(lone.desk.facts), note="output cut to " + keep)


async def test_a_second_restart_after_a_cut(lone):
    await heard_three(lone)
    whole = lone.dir.stdout.read_bytes().find(b"\n") + 1
    os.truncate(lone.dir.stdout, whole + 40)
    async with lone.driven():
        await lone.until(lambda: damages(lone))
    assert lone.desk.cursor == whole + 40
    lone.say(tool_call("d", "m-d"))
    async with lone.driven():
        await lone.until(lambda: calls(lone)[3:] == ["d"])
    assert len(damages(lone)) == 1


async def test_cut_under_a_live_session(lone, tally):
    """
    Somebody empties the file; the agent, which appends, goes on at its start.
    """
    async with lone.driven():
        lone.say(tool_call("a", "m-a"), tool_result("a"))
        await lone.until(lambda: lone.desk.named("run.tool_returned"))
        size = lone.desk.cursor
        os.truncate(lone.dir.stdout, 0)
        await lone.until(lambda: damages(lone))
        lone.say(tool_call("b", "m-b"))
        await lone.until(lambda: "b" in calls(lone))
    assert damages(lone) == [(0, size, True)]
    async with lone.driven():
        lone.say(tool_result("b"))
        await lone.until(lambda: len(lone.desk.named("run.tool_returned")) == 2)
    assert calls(lone) == ["a", "b"]
    tally("F9", checked=len(lone.desk.facts), note="output cut under a live session")


async def test_output_that_is_gone(lone):
    """
    The agent writes into a file without a name: it is ended, so that its conversation can go on in another run.
    """
    size = await heard_three(lone)
    lone.dir.stdout.unlink()
    async with lone.driven():
        await lone.until(lambda: lone.desk.named("run.stopping"))
        assert damages(lone) == [(0, size, True)]
        assert lone.desk.row(RUN).stopping is Outcome.STALLED
        assert "output file is gone" in lone.desk.row(RUN).stopping_reason


async def test_output_that_is_gone_with_its_agent(lone):
    size = await heard_three(lone)
    lone.dir.stdout.unlink()
    lone.held.close()
    async with lone.driven():
        await lone.until(lambda: damages(lone))
        lone.clock.now += 1.0
        await lone.until(lambda: lone.ending)
    assert damages(lone) == [(0, size, True)]
    assert lone.ending[0].lost


async def test_a_lost_line_is_no_reason_to_wait_for_ever(lone):
    async with lone.driven():
        lone.say(tool_call("a", "m-a"))
        await lone.until(lambda: calls(lone))
        lone.say(tool_result("a"))
        os.truncate(lone.dir.stdout, 10)
        await lone.until(lambda: damages(lone))
        lone.say(tool_call("b", "m-b"))
        await lone.until(lambda: "b" in calls(lone))
        # Whether it works on a call, of which nobody can say any more that one is under way, or on something else.
        lone.say(account(0), account(1))
        await lone.rounds()
        with lone.processes("import time; time.sleep(600)"):
            await lone.pass_(901.0)
            assert lone.desk.row(RUN).stopping is Outcome.STALLED
            assert "no sign of life" in lone.desk.row(RUN).stopping_reason


async def test_a_file_that_is_not_there_yet_is_waited_for(lone):
    lone.dir.stdout.unlink()
    async with lone.driven():
        await lone.rounds(3)
        assert lone.desk.facts == []
        lone.say(words("hello"), tool_call("a", "m-b"))
        await lone.until(lambda: calls(lone))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["emptied", "deleted", "emptied under the daemon"])
def test_nothing_is_counted_twice_after_a_cut(fault_world, tally, how):
    """
    A turn is accounted for by a result that is then lost with the output; later the agent is killed, and its transcript is
    read, which knows nothing of results.
    """
    world = fault_world()
    world.script(
        "cut",
        [stream(3), gate("question"), result(), stream(2), gate("second"), stream(1), say()],
        [stream(1), say()],
    )
    world.submit_tasks(task("cut"), day=DAY)
    run = f"{DAY}/cut/1"
    first = world.gate.arrive("question")
    # The turn's end wakes nobody while a question is open: it is asked by file, and answered when the output is lost.
    folder = world.home / "var" / "agent_questions" / DAY
    ask_by_file(folder / "cut.md", "Which one?")
    world.wait_event("question.asked")
    first.release()
    world.wait_event("run.turn_ended", run=run)
    output = world.run_dir("cut/1") / "stdout.jsonl"
    if how == "emptied under the daemon":
        os.truncate(output, 0)
    else:
        world.kill()
        output.unlink() if how == "deleted" else os.truncate(output, 0)
        world.start()
    damaged = world.wait_event("run.stream_damaged", run=run)["event"]
    assert (damaged["offset"], damaged["cut"]) == (0, True)
    if how == "deleted":
        # What it says from now on nobody can hear.
        assert world.wait_event("run.exited", run=run)["event"]["outcome"] == "stalled"
        world.stop()
    else:
        world.write("question.answer", task="cut", text="That one.")
        second = world.gate.arrive("second")
        world.wait_event("run.tool_returned", lambda fact: len(world.events("run.tool_returned", run=run)) == 5)
        os.kill(second.pid, signal.SIGKILL)
        assert world.wait_event("run.exited", run=run)["event"]["outcome"] == "killed"
        assert world.wait() == {"cut": "succeeded"}
    tally("F9", kills=1, **check(world).counts)
