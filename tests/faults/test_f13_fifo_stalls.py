"""
F13: an agent that does not read its stdin while a mebibyte is said to it.  Nobody waits for it; it hears everything, in
order, once it listens.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import ExitStack

import anyio
import pytest
from harness.check import check
from harness.lone import PATIENCE, Lone
from harness.mutant import Mutant
from harness.script import deaf, gate, hear, say, stream
from kit.files import ask_by_file
from kit.rpc import Link
from kit.script import DAY, task

from factories import RUN, asked
from orchestrd.ancestry import MARK
from orchestrd.domain import events as ev
from orchestrd.runner.launch import launch
from orchestrd.storage.rundir import RunSpec

SIZE = 132 * 1024
COUNT = 8
MUTANTS = (
    Mutant(
        "the daemon writes into the FIFO itself",
        file="storage/rundir.py",
        old="        self.wake()\n",
        new="        os.write(os.open(self.fifo, os.O_WRONLY), lines)\n",
        test="test_a_mebibyte_of_answers_to_an_agent_that_does_not_listen",
    ),
    Mutant(
        "the shim waits for room",
        file="runner/inbox.py",
        old='self._fifo: int | None = os.open("stdin.fifo", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)',
        new='self._fifo: int | None = os.open("stdin.fifo", os.O_RDWR | os.O_CLOEXEC)',
        test="test_a_shim_with_a_full_pipe_still_obeys",
    ),
    Mutant(
        "what finds no room is dropped",
        file="runner/inbox.py",
        old="                poll.register(self._fifo, select.POLLOUT)\n",
        new='                self._pending = b""\n',
        test="test_a_mebibyte_of_answers_to_an_agent_that_does_not_listen",
    ),
    Mutant(
        "what comes later is said first",
        file="runner/inbox.py",
        old="            self._pending += data[:whole]\n",
        new="            self._pending = data[:whole] + self._pending\n",
        test="test_a_mebibyte_of_answers_to_an_agent_that_does_not_listen",
    ),
    Mutant(
        "a session writes into its agent's FIFO itself",
        file="storage/rundir.py",
        old="        self.wake()\n",
        new="        os.write(os.open(self.fifo, os.O_WRONLY), lines)\n",
        test="test_no_session_waits_for_another_ones_agent",
    ),
)


def p99(link: Link, seconds: float) -> float:
    """
    How long one call takes, at the 99th percentile, asked again and again for *seconds*.
    """
    took: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(took) < 100:
        began = time.monotonic()
        link.call("daemon.status")
        took.append(time.monotonic() - began)
    return sorted(took)[int(len(took) * 0.99)]


@pytest.mark.slow
def test_a_mebibyte_of_answers_to_an_agent_that_does_not_listen(fault_world, tally):
    """
    Real processes: four others work beside it, and the daemon answers whoever asks.
    """
    world = fault_world()
    world.script("deaf", [stream(2), deaf(), gate("deaf"), hear(), say("I listen.")])
    world.script("default", [stream(400, every=0.02), say()])
    others = [f"other-{number}" for number in range(4)]
    world.submit_tasks(*(task(name) for name in ("deaf", *others)), day=DAY)
    held = world.gate.arrive("deaf")
    with Link(world.socket) as link:
        calm = p99(link, 1.0)
        folder = world.home / "var" / "agent_questions" / DAY
        for number in range(1, COUNT + 1):
            ask_by_file(folder / f"deaf{'' if number == 1 else f'-{number}'}.md", f"Question {number}?")
            world.wait_event("question.asked", text=f"Question {number}?")
        texts = [f"{number} " + "x" * SIZE for number in range(1, COUNT + 1)]
        for number, text in enumerate(texts, 1):
            world.write("question.answer", task="deaf", question=f"{DAY}/deaf#{number}", text=text)
        world.wait_event("question.delivered", question=f"{DAY}/deaf#{COUNT}")
        assert (world.run_dir("deaf/1") / "stdin.jsonl").stat().st_size > COUNT * SIZE > 1 << 20
        seen = len(world.truth_rows("returned"))
        stalled = p99(link, 3.0)
        assert stalled < max(0.05, 3 * calm)
        # The others went on meanwhile.
        assert len(world.truth_rows("returned")) > seen
        assert not [row for row in world.truth_rows("user") if row["run"].endswith("deaf/1")][1:]
    held.release()
    assert world.wait(timeout=120.0) == dict.fromkeys(("deaf", *others), "succeeded")
    heard = [row for row in world.truth_rows("user") if row["run"].endswith("deaf/1")][1:]
    assert [f"{number} xxx" in row["text"] for number, row in enumerate(heard, 1)] == [True] * COUNT
    assert all(row["size"] > SIZE for row in heard)
    found = check(world)
    tally("F13", note=f"p99 {calm * 1000:.1f} ms before, {stalled * 1000:.1f} ms during", **found.counts)


LATE = """\
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
with open(sys.argv[2], "wb", buffering=0) as heard:
    for line in sys.stdin.buffer:
        heard.write(line)
"""


@pytest.mark.anyio
@pytest.mark.slow
async def test_no_session_waits_for_another_ones_agent(tmp_path, tally):
    """
    One event loop, two sessions: beside the one that cannot get rid of a mebibyte, the other looks at its agent as often as
    ever; and the loop is never held up.
    """
    slow, other = Lone(tmp_path / "slow"), Lone(tmp_path / "other")
    other.pretend()
    env = {"PATH": os.environ["PATH"], MARK: str(slow.dir.path), "HOME": "/nonexistent"}
    heard = tmp_path / "heard"
    listen = tmp_path / "listen"
    argv = [sys.executable, "-c", LATE, str(listen), str(heard)]
    slow.dir.create(RunSpec(run=RUN, argv=argv, cwd="/", env=env, grace=1.0))
    await launch(slow.dir)
    texts = [f"{number} " + "y" * SIZE for number in range(COUNT)]
    longest = 0.0
    with ExitStack() as stack:
        stack.callback(slow.dir.tell, "stop 1")
        # Whoever waits for it, against all that is promised, does not do so for ever.
        at_last = threading.Timer(5.0, listen.touch)
        at_last.start()
        stack.callback(at_last.cancel)
        stack.enter_context(other.held)
        # As its shim would hold it.
        os.mkfifo(other.dir.fifo, 0o600)
        stack.callback(os.close, os.open(other.dir.fifo, os.O_RDWR | os.O_NONBLOCK))
        async with slow.driven(), other.driven():
            name = RUN.rpartition("/")[0]
            rounds, began = other.desk.rounds, time.monotonic()
            for number, text in enumerate(texts, 1):
                question = f"{name}#{number}"
                slow.desk.tell(
                    asked(question, request=None), ev.QuestionAnswered(question=question, answer=text, by="cli")
                )
            with anyio.fail_after(PATIENCE):
                while time.monotonic() - began < 1.0 or any(q.state != "delivered" for q in slow.desk.questions(RUN)):
                    before = time.monotonic()
                    await anyio.sleep(0.005)
                    longest = max(longest, time.monotonic() - before)
            assert other.desk.rounds - rounds > 5
            assert longest < 0.5
            sent = slow.dir.sent()
            listen.touch()
            await slow.until(lambda: heard.exists() and heard.stat().st_size >= len(sent))
            slow.dir.tell("stop 1")
            await slow.until(lambda: slow.dir.exit.exists())
    assert heard.read_bytes() == sent
    assert [text.encode() in sent for text in texts] == [True] * COUNT
    tally("F13", note=f"the loop was held up for {longest * 1000:.0f} ms at the longest")


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_shim_with_a_full_pipe_still_obeys(tmp_path):
    lone = Lone(tmp_path / "run")
    env = {"PATH": os.environ["PATH"], MARK: str(lone.dir.path)}
    lone.dir.create(RunSpec(run=RUN, argv=["/bin/sleep", "600"], cwd="/", env=env, grace=1.0))
    await launch(lone.dir)
    for number in range(COUNT):
        lone.dir.send(b"%d " % number + b"z" * SIZE + b"\n")
    lone.dir.tell("stop 1")
    await lone.until(lambda: lone.dir.exit_record() is not None)
    assert lone.dir.exit_record().stopped
