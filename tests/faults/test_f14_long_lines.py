"""
F14: a line of 2 MiB is a line; one of 64 MiB, or one that never ends, is one fact with its place, and the next line is
read.  Memory stays where it was.

`tests/unit/test_framer.py` (the limit, memory and linear time of the framer) and
`tests/properties/test_stream_properties.py` (any bytes in any chunks) belong to this row too.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import emit, gate, huge, raw, say, stream, tool
from harness.world import rss_kib
from kit.script import DAY, task

from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.framer import LIMIT
from orchestrd.protocol.messages import Oversize, Text

pytestmark = pytest.mark.slow
MIB = 1 << 20
ROOM = 16 * 1024
"""KiB that a line above the limit may cost."""

MUTANTS = (
    Mutant(
        "a line above the limit is held to its end",
        file="protocol/framer.py",
        old="        if self.pending > self._limit:\n            self._dropped = self.pending\n",
        new="        if self.pending < 0:\n            self._dropped = self.pending\n",
        test="test_a_line_above_the_limit_is_one_fact_and_costs_no_memory",
    ),
    Mutant(
        "what follows an overlong line is dropped with it",
        file="protocol/framer.py",
        old="return [overlong, *self.feed(chunk[end + 1 :])]",
        new="return [overlong]",
        test="test_above_the_limit_reading_goes_on_at_the_next_line",
    ),
    Mutant(
        "the cursor forgets the end of an overlong line",
        file="protocol/framer.py",
        old="        self.consumed += length + 1\n        self._dropped = 0\n",
        new="        self.consumed += length\n        self._dropped = 0\n",
        test="test_above_the_limit_reading_goes_on_at_the_next_line",
    ),
    Mutant(
        "a line that never ends is not told",
        file="protocol/claude.py",
        old="        if tail.length > len(tail.data):\n",
        new="        if tail.length > len(tail.data):\n            return []\n        if tail.length > len(tail.data):\n",
        test="test_a_line_that_never_ends",
    ),
    Mutant(
        "a megabyte is too much for one line",
        file="protocol/framer.py",
        old='        last = chunk.rfind(b"\\n")\n        if last < 0:\n',
        new="        if len(self._pending) > 1 << 20:\n            raise MemoryError\n"
        '        last = chunk.rfind(b"\\n")\n        if last < 0:\n',
        test="test_two_mebibytes_are_a_line_like_any_other",
    ),
    Mutant(
        "what is read in one piece with something new is all new",
        file="runner/intake.py",
        old="stop = self.cursor if self._offset < self.cursor else OUTPUT_LIMIT",
        new="stop = OUTPUT_LIMIT",
        test="test_two_mebibytes_through_daemon_and_journal",
    ),
)


def line(size: int) -> bytes:
    """
    An assistant's line of *size* bytes, its end included.
    """
    body = {"id": "msg_1", "model": "claude-opus-5-5", "content": [{"type": "text", "text": ""}]}
    empty = json.dumps({"type": "assistant", "message": body}).encode()
    body["content"] = [{"type": "text", "text": "x" * (size - len(empty) - 1)}]
    return json.dumps({"type": "assistant", "message": body}).encode() + b"\n"


def fed(data: bytes, chunk: int) -> list:
    reader = ClaudeStream()
    out = []
    for at in range(0, len(data), chunk):
        out += reader.feed(data[at : at + chunk])
    out += reader.finish()
    assert reader.consumed == len(data)
    return out


@pytest.mark.parametrize("chunk", [4096, 1 << 20])
def test_two_mebibytes_are_a_line_like_any_other(tally, chunk):
    data = line(2 * MIB)
    assert len(data) == 2 * MIB
    began = time.perf_counter()
    (found,) = fed(data, chunk)
    took = time.perf_counter() - began
    assert isinstance(found, Text)
    assert len(found.text) > 2 * MIB - 200
    tally(row="F14", note=f"2 MiB in reads of {chunk >> 10} KiB: {1000 * took:.1f} ms")


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1, LIMIT + 2, 64 * MIB])
def test_above_the_limit_reading_goes_on_at_the_next_line(size):
    before, after = line(300), line(400)
    data = before + line(size) + after
    *_, last = found = fed(data, 1 << 20)
    assert isinstance(last, Text)
    assert len(found) == 3
    whole = size <= LIMIT + 1  # its LF is not counted
    assert isinstance(found[1], Text if whole else Oversize)
    if not whole:
        assert found[1] == Oversize(offset=len(before), length=size - 1)


@pytest.mark.parametrize("size", [9 * MIB, 64 * MIB])
def test_a_line_above_the_limit_is_one_fact_and_costs_no_memory(fault_world, tally, size):
    world = fault_world()
    world.script("long", [stream(3), gate("before"), huge(size), stream(2), gate("after"), say()])
    world.submit_tasks(task("long"), day=DAY)
    held = world.gate.arrive("before")
    world.wait_event("run.tool_returned", since=world.events("run.tool_returned")[1]["seq"])
    offset = (world.run_dir("long/1") / "stdout.jsonl").stat().st_size
    forget_peak(world.daemon.pid)
    before = rss_kib(world.daemon.pid)
    held.release()
    damage = world.wait_event("run.stream_damaged")["event"]
    world.gate.arrive("after").release()
    peak = peak_kib(world.daemon.pid)
    assert world.wait() == {"long": "succeeded"}
    assert (damage["run"], damage["offset"], damage["length"]) == (f"{DAY}/long/1", offset, size)
    assert damage["reason"] == "line too long"
    assert len(world.events("run.stream_damaged")) == 1
    found = check(world)
    assert peak - before <= ROOM
    tally(row="F14", note=f"{size >> 20} MiB: +{(peak - before) / 1024:.1f} MiB at the most", **found.counts)


def test_a_line_that_never_ends(fault_world, tally):
    """
    What was said before it counts; what it hid does not: without its result the run failed.
    """
    world = fault_world(config={"retries": 0})
    world.script("endless", [stream(3), huge(20 * MIB, newline=False), {"do": "die", "name": "SIGKILL"}])
    world.script("other", [stream(20), say()])
    world.submit_tasks(task("endless"), task("other"), day=DAY)
    assert world.wait() == {"endless": "failed", "other": "succeeded"}
    (damage,) = [e["event"] for e in world.events("run.stream_damaged")]
    assert (damage["length"], damage["reason"]) == (20 * MIB, "line too long")
    found = check(world)
    tally(row="F14", **found.counts)


def test_two_mebibytes_through_daemon_and_journal(fault_world, tally):
    """
    The longest lines the CLI writes: a call that writes a large file, and its result; also cut off in their middle by a
    restart of the daemon.
    """
    world = fault_world()
    text = "y" * (2 * MIB)
    part = json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}).encode()
    world.script(
        "large",
        [
            tool("Edit", input={"file_path": "large.txt", "new_string": text}, result=text),
            raw(part[:MIB], newline=False),
            gate("torn"),
            raw(part[MIB:]),
            emit(type="system", subtype="status", status=None),
            say(),
        ],
    )
    world.submit_tasks(task("large"), day=DAY)
    held = world.gate.arrive("torn")
    world.restart()
    held.release()
    assert world.wait() == {"large": "succeeded"}
    assert not world.events("run.stream_damaged")
    found = check(world)
    tally(row="F14", kills=1, **found.counts)


def forget_peak(pid: int) -> None:
    """
    Let the peak of its memory begin anew, see proc(5).
    """
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def peak_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(row.split()[1]) for row in text.splitlines() if row.startswith("VmHWM:"))
