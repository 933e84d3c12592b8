"""
F15: lines that are no events.  Each is one fact with its place, the next line is read, the run goes on, and the person is told.

`tests/unit/test_claude_lines.py` and the laws of `tests/properties/test_stream_properties.py` (any bytes, any shape of any
field) belong to this row too.
"""

from __future__ import annotations

import json

import msgspec
import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import gate, raw, say, stream
from hypothesis import given
from hypothesis import strategies as st
from kit.script import DAY, task

from orchestrd.domain.budget import PriceTable
from orchestrd.domain.writable import writable
from orchestrd.policy.verdict import ALLOW
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.messages import Malformed
from orchestrd.runner.interpreter import Interpreter

GOOD = b'{"type":"system","subtype":"session_state_changed","state":"running"}'
TOOL = b'{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":%s}]}}'

REFUSED = {
    "bad UTF-8": TOOL % b'"\xff\xfe"',
    "half a character": TOOL % b'"\xe2\x82"',
    "NUL": TOOL % b'"a\x00b"',
    "NULs of a torn block": b"\x00" * 4096,
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "a control character": TOOL % b'"a\x01b"',
    "depth 200000": TOOL % (b"[" * 200_000 + b"]" * 200_000),
    "depth 200000, open": b"[" * 200_000,
    "depth in what is skipped": b'{"type":"system","x":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"}",
    "NaN": b'{"type":"system","subtype":"status","x":NaN}',
    "Infinity": b'{"type":"result","total_cost_usd":Infinity}',
    "a huge exponent": b'{"type":"system","subtype":"status","n":1e99999}',
    "two values": GOOD + GOOD,
    "half a value": GOOD[:-10],
    "a bare string": b'"text"',
    "a number": b"5",
    "null": b"null",
    "a list": b"[" + GOOD + b"]",
    "no type": b'{"subtype":"init"}',
    "a type that is a number": b'{"type":5}',
    "a message that is text": b'{"type":"assistant","message":"hello"}',
    "prose": b"Warning: something happened",
    "an escape that is none": TOOL % b'"\\x41"',
}
TAKEN = {
    "a carriage return": GOOD + b"\r",
    "blank": b"   \t ",
    "a lone surrogate": TOOL % b'"a\\ud83dz"',
    "a lone low surrogate in a key": b'{"type":"system","\\udc00":1}',
    "duplicate keys": b'{"type":"assistant","type":"system","subtype":"status"}',
    "a huge integer": b'{"type":"system","subtype":"status","n":' + b"9" * 4000 + b"}",
    "a huge integer of usage": b'{"type":"assistant","message":{"id":"m","usage":{"input_tokens":1%s}}}' % (b"0" * 40),
    "a negative count": b'{"type":"assistant","message":{"id":"m","usage":{"input_tokens":-5}}}',
}
MIXED = [entry for pair in zip(REFUSED.values(), [GOOD] * len(REFUSED), strict=True) for entry in pair]

MUTANTS = (
    Mutant(
        "nesting ends the reader",
        file="protocol/lines.py",
        old="_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)",
        new="_REFUSED = (msgspec.DecodeError, UnicodeDecodeError)",
        test="test_each_line_that_is_none_is_told_once_and_the_next_is_read",
    ),
    Mutant(
        "bad UTF-8 ends the reader",
        file="protocol/lines.py",
        old="_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)",
        new="_REFUSED = (msgspec.DecodeError, RecursionError)",
        test="test_each_line_that_is_none_is_told_once_and_the_next_is_read",
    ),
    Mutant(
        "a bad line takes those beside it along",
        file="protocol/claude.py",
        old="            for offset, raw in region.lines():\n                self._read_line(offset, raw, out)\n            return\n",
        new="            return self._refuse(region.offset, len(region.data) - 1, 'damaged', out)\n",
        test="test_each_line_that_is_none_is_told_once_and_the_next_is_read",
    ),
    Mutant(
        "lone surrogates are refused",
        file="protocol/claude.py",
        old="                data = mend(raw)\n",
        new="                data = raw\n",
        test="test_odd_lines_are_read",
    ),
    Mutant(
        "the report does not tell of damage",
        file="domain/fold/stream.py",
        old="damaged=row.damaged + 1",
        new="damaged=row.damaged",
        test="test_the_run_goes_on_and_the_person_is_told",
    ),
    Mutant(
        "damage is nowhere recorded",
        file="runner/interpreter.py",
        old="m.RateLimit() | m.Malformed() | m.Oversize():",
        new="m.RateLimit() | m.Malformed(torn=True) | m.Oversize():",
        test="test_the_run_goes_on_and_the_person_is_told",
    ),
    Mutant(
        "what UTF-8 cannot say reaches the journal",
        file="domain/writable.py",
        old="    except UnicodeEncodeError:\n",
        new="    except ZeroDivisionError:\n",
        test="test_facts_of_any_bytes_can_be_written",
    ),
)


@pytest.mark.parametrize("chunk", [1 << 20, 7001], ids=["whole", "in pieces"])
@pytest.mark.parametrize("name", REFUSED)
def test_each_line_that_is_none_is_told_once_and_the_next_is_read(name, chunk):
    data = GOOD + b"\n" + REFUSED[name] + b"\n" + GOOD + b"\n"
    reader = ClaudeStream()
    found = [m for at in range(0, len(data), chunk) for m in reader.feed(data[at : at + chunk])]
    before, damage, after = found
    assert isinstance(damage, Malformed)
    assert (damage.offset, damage.length) == (len(GOOD) + 1, len(REFUSED[name]))
    assert before == after
    assert reader.consumed == len(data)


@pytest.mark.parametrize("name", TAKEN)
def test_odd_lines_are_read(name):
    data = GOOD + b"\n" + TAKEN[name] + b"\n" + GOOD + b"\n"
    reader = ClaudeStream()
    found = reader.feed(data)
    assert not any(isinstance(message, Malformed) for message in found)
    assert found[0] == found[-1]
    assert msgspec.json.encode(Interpreter("d/t/1", PriceTable(date="", models={}), lambda *_: ALLOW).take(found).facts)


@given(st.lists(st.sampled_from([*REFUSED.values(), *TAKEN.values(), GOOD]) | st.binary(max_size=40), max_size=12))
def test_facts_of_any_bytes_can_be_written(lines):
    """
    Whatever an agent writes between two lines of its own, the journal can take what comes of it.
    """
    interpreter = Interpreter("d/t/1", PriceTable(date="", models={}), lambda *_: ALLOW)
    call = {"type": "tool_use", "id": "\udc00", "name": "Bash", "input": {"command": "\ud83d"}}
    line = json.dumps({"type": "assistant", "message": {"id": "m", "content": [call]}}).encode()
    heard = interpreter.take(ClaudeStream().feed(b"".join(part + b"\n" for part in [*lines, line])))
    assert heard.facts
    for fact in heard.facts:
        assert msgspec.json.encode(writable(fact))
    assert msgspec.json.encode(writable(_odd(heard.facts[-1])))


def _odd(fact):
    return msgspec.structs.replace(fact, target="\ud83d")


@pytest.mark.slow
def test_the_run_goes_on_and_the_person_is_told(fault_world, tally):
    # None of these lines says what it used.
    world = fault_world(config={"budget": {"unmetered": True}})
    lines = [*MIXED, *TAKEN.values()]
    steps = [step for line in lines for step in (raw(line), stream(1))]
    world.script("odd", [*steps, gate("half"), *steps, say("Done.")])
    world.script("plain", [stream(10), say()])
    world.submit_tasks(task("odd"), task("plain"), day=DAY)
    held = world.gate.arrive("half")
    # What was told once is not told again by the daemon that reads the stream from its start.
    world.restart()
    held.release()
    assert world.wait() == {"odd": "succeeded", "plain": "succeeded"}
    output = (world.run_dir("odd/1") / "stdout.jsonl").read_bytes()
    damage = [e["event"] for e in world.events("run.stream_damaged")]
    assert [output[d["offset"] :][: d["length"]] for d in damage] == [*REFUSED.values()] * 2
    assert all(d["run"] == f"{DAY}/odd/1" for d in damage)
    report = world.rpc("report.get", day=DAY)
    assert f"{len(damage)} unreadable lines" in report["markdown"]
    found = check(world)
    tally(row="F15", kills=1, note=f"{len(damage)} damaged lines", **found.counts)
