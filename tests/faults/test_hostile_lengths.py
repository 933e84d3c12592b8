"""
An agent makes a file of its own run as long as it likes, with one call and without a byte on the disk; or its output is
truly long.  Whatever it writes, the others and whoever asks have their turn, and no daemon, cancel or audit reads for ever.
"""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path

import pytest
from harness.lone import Lone, tool_call, tool_result, words
from harness.mutant import Mutant
from harness.script import gate, say, stream
from harness.world import FaultWorld
from kit.ground import Ground
from kit.processes import alive
from kit.script import DAY, task

from factories import RUN

GIB = 1 << 30
LENGTH = 2000 * GIB
ANSWER_SECONDS = 1.0
"""How long whoever asks may wait, whatever an agent does: it is milliseconds, on a machine of its own."""

MUTANTS = (
    Mutant(
        "there is no limit to what an agent may write",
        file="storage/output.py",
        old="OUTPUT_LIMIT = 8 << 30\n",
        new="OUTPUT_LIMIT = 1 << 60\n",
        test="test_a_file_of_two_thousand_gibibytes[live-stdout.jsonl]",
    ),
    Mutant(
        "an output beyond the limit is no trouble",
        file="storage/output.py",
        old="return os.fstat(fd).st_size > OUTPUT_LIMIT",
        new="return False",
        test="test_a_file_of_two_thousand_gibibytes[restart-stdout.jsonl]",
    ),
    Mutant(
        "all that stands in a spool may be a line of ours",
        file="storage/spool.py",
        old='return "is longer than what was written" if found.st_size > self._end + STRAY_LIMIT else ""',
        new='return ""',
        test="test_a_file_of_two_thousand_gibibytes[live-stdin.jsonl]",
    ),
    Mutant(
        "a spool of any length is searched for its last line",
        file="storage/spool.py",
        old="max(0, end - STRAY_LIMIT) if",
        new="0 if",
        test="test_a_file_of_two_thousand_gibibytes[nobody-stdin.jsonl]",
    ),
    Mutant(
        "a hole is left out of the line it is in",
        file="protocol/claude.py",
        old="        self._framer.pass_over(length)\n",
        new="        self._framer.consumed += length\n",
        test="test_a_hole_is_one_fact",
    ),
    Mutant(
        "a session takes all it can get before anybody else has a turn",
        file="runner/session.py",
        old="            await anyio.lowlevel.checkpoint()\n",
        new="            pass\n",
        test="test_nobody_waits_for_a_long_one",
    ),
)


def answers_at_once(world: FaultWorld) -> None:
    began = time.monotonic()
    world.rpc("task.status")
    assert time.monotonic() - began < ANSWER_SECONDS


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["stdout.jsonl", "stdin.jsonl"])
@pytest.mark.parametrize("when", ["live", "restart", "nobody"])
def test_a_file_of_two_thousand_gibibytes(fault_world, when, name):
    """
    It happens under a daemon, between two, or where none comes before the person cancels the run.
    """
    world = fault_world()
    hostile, innocent = world.two_at_work()
    if when != "live":
        world.kill()
    os.truncate(world.run_dir("hostile/1") / name, LENGTH)
    if when == "nobody":
        assert world.orchctl("cancel", "hostile").code == 0
        assert not alive(hostile)
    if when != "live":
        # Not before every agent is followed again, or has ended.
        world.start() if when == "restart" else Ground.start(world)
    for _ in range(20):
        answers_at_once(world)
    exited = world.wait_event("run.exited", run=f"{DAY}/hostile/1", timeout=30.0)["event"]
    assert not alive(hostile)
    assert exited["cause"] == ("cancelled" if when == "nobody" else "stalled")
    assert when == "nobody" or "is longer than" in exited["reason"]
    damages = [e["event"] for e in world.events("run.stream_damaged", run=f"{DAY}/hostile/1")]
    assert len(damages) == (name == "stdout.jsonl")
    # The other one has noticed nothing.
    world.wait_truth("told", run=f"{DAY}/innocent/1", since=world.truth_file.stat().st_size)
    assert world.agent_pid("innocent/1") == innocent
    assert world.orchctl("cancel", "innocent").code == 0
    world.wait_event("run.exited", run=f"{DAY}/innocent/1")
    assert world.orchctl("doctor", "--deep").code == 0


@pytest.mark.anyio
async def test_a_hole_is_one_fact(tmp_path):
    """
    Within the limit it costs the line that it is in, whoever reads it and however often.
    """
    lone = Lone(tmp_path / "run")
    lone.pretend()
    with lone.held:
        async with lone.driven():
            lone.say(tool_call("a", "m-a"), tool_result("a"))
            await lone.until(lambda: lone.desk.named("run.tool_returned"))
            begin = lone.desk.cursor
            os.truncate(lone.dir.stdout, begin + GIB)
            lone.say(words("lost with the hole"), tool_call("b", "m-b"))
            await lone.until(lambda: len(lone.desk.named("run.tool_called")) == 2)
        async with lone.driven():
            lone.say(tool_result("b"))
            await lone.until(lambda: len(lone.desk.named("run.tool_returned")) == 2)
    (damage,) = lone.desk.named("run.stream_damaged")
    glued = len(json.dumps(words("lost with the hole")))
    assert (damage.run, damage.offset, damage.length, damage.cut) == (RUN, begin, GIB + glued, False)


def lengthen(output: Path, mebibytes: int) -> None:
    """
    So much of what tells nothing: partial messages, as the CLI writes them.
    """
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " some more words"}}
    line = json.dumps({"type": "stream_event", "event": delta, "parent_tool_use_id": None}).encode() + b"\n"
    block = line * ((1 << 20) // len(line))
    with output.open("ab") as file:
        for _ in range(mebibytes):
            file.write(block)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nobody_waits_for_a_long_one(fault_world, tally):
    """
    One run's output is 200 MiB long, and all of it is recorded: the next daemon has to read it before it has taken the run up.
    """
    world = fault_world()
    others = ["a", "b", "c"]
    for name in ("long", *others):
        world.script(name, [stream(2), gate(name), stream(1), gate(f"{name}-end"), say()])
    world.submit_tasks(*(task(name) for name in ("long", *others)), day=DAY)
    held = {name: world.gate.arrive(name) for name in ("long", *others)}
    lengthen(world.run_dir("long/1") / "stdout.jsonl", 200)
    held.pop("long").release()
    ends = [world.gate.arrive("long-end")]
    world.wait_event("run.tool_returned", lambda _: len(world.events("run.tool_returned", run=f"{DAY}/long/1")) == 3)
    began = time.time()
    world.restart()
    entries = [json.loads(row) for row in world.log.read_text(encoding="utf-8").splitlines() if row.startswith("{")]
    attached = {e["run"].split("/")[1]: e["timestamp"] for e in entries if e["event"] == "run.attached"}
    assert list(attached)[-1] == "long"
    assert sorted(attached) == sorted([*others, "long"])
    after = [datetime.fromisoformat(attached[name]).timestamp() - began for name in ("long", *others)]
    answers_at_once(world)
    for gate_ in held.values():
        gate_.release()
    ends += [world.gate.arrive(f"{name}-end") for name in others]
    for gate_ in ends:
        gate_.release()
    assert set(world.wait().values()) == {"succeeded"}
    waited = f"{max(after[1:]):.2f} s, {world.lives[-1].queued:.2f} s of them for a processor"
    tally(row="F14", note=f"beside 200 MiB that are read again in {after[0]:.2f} s, others are followed after {waited}")
