"""
Laws of the stream reader: chunks do not matter, the cursor is durable, nothing fed to it raises.
"""

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.framer import LineFramer, OverlongLine, Region
from orchestrd.protocol.inspection import Inspector
from orchestrd.protocol.messages import Message, MessageUsage

CAPTURES = Path(__file__).parents[1] / "data" / "claude-streams"
STREAMS = {
    path.stem: path.read_bytes()
    for path in sorted(CAPTURES.glob("*.jsonl"))
    if not path.stem.endswith(".wire") and path.stat().st_size < 20_000
}


def say(data: bytes, cuts: list[int], **how: Any) -> tuple[list[Message], tuple[Any, ...]]:
    stream = ClaudeStream(**how)
    out: list[Message] = []
    for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        out += stream.feed(data[begin:end])
    out += stream.finish()
    counters = (
        stream.session,
        stream.consumed,
        stream.pending,
        stream.events,
        stream.malformed,
        stream.oversize,
        stream.unknown,
    )
    return out, counters


def cuts_of(rng: random.Random, size: int) -> list[int]:
    return sorted(rng.choices(range(size + 1), k=rng.choice([1, 2, 5, 20])))


@pytest.mark.slow
def test_ten_thousand_chunkings_of_captures() -> None:
    rng = random.Random(20261122)
    whole = {name: say(data, []) for name, data in STREAMS.items()}
    names = list(whole)
    for round_ in range(10_000):
        name = names[round_ % len(names)]
        cuts = cuts_of(rng, len(STREAMS[name]))
        assert say(STREAMS[name], cuts) == whole[name], (name, cuts)


@pytest.mark.parametrize("name", ["partial", "subagent", "ctl_queries", "v197_multi"])
def test_byte_by_byte(name: str) -> None:
    data = (CAPTURES / f"{name}.jsonl").read_bytes()

    assert say(data, []) == say(data, list(range(1, len(data))))


@pytest.mark.parametrize("name", ["partial", "subagent", "autocompact", "ctl_hooks_sdkmcp"])
def test_a_reader_may_die_anywhere(name: str) -> None:
    """
    A new stream at the cursor goes on where the old one stopped.  Only usage may be told again.
    """
    data = (CAPTURES / f"{name}.jsonl").read_bytes()
    expected = [message for message in say(data, [])[0] if not isinstance(message, MessageUsage)]
    for cut in random.Random(7).sample(range(len(data)), 60):
        first = ClaudeStream()
        told = first.feed(data[:cut])
        second = ClaudeStream(start=first.consumed)
        told += second.feed(data[first.consumed :])

        assert [message for message in told if not isinstance(message, MessageUsage)] == expected
        assert len(data) == second.consumed


LINE_PARTS = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b" ", b"", b"{", b"}", b'"', b"\\ud83d", b"\xff", b"\x00", b"[1]"])
    | st.sampled_from(STREAMS["subagent"].splitlines()[1:])
    | st.binary(max_size=8),
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(parts=LINE_PARTS, data=st.data())
def test_any_bytes_in_any_chunks(parts: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    limit = data.draw(st.sampled_from([3, 50, 1000, 10**6]))

    assert say(raw, [], limit=limit) == say(raw, cuts, limit=limit)


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=300).map(lambda raw: raw.replace(b"x", b"\n")), limit=st.integers(1, 40), data=st.data())
def test_the_framer_keeps_every_byte(raw: bytes, limit: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    framer, at = LineFramer(limit), 0
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        for piece in framer.feed(raw[begin:end]):
            assert at == piece.offset
            if isinstance(piece, OverlongLine):
                assert piece.length > limit
                assert b"\n" not in raw[at : at + piece.length]
                at += piece.length + 1
            else:
                assert isinstance(piece, Region)
                assert raw[at : at + len(piece.data)] == piece.data
                assert all(len(line) <= limit for line in piece.data.split(b"\n"))
                at += len(piece.data)
            assert raw[:at].endswith(b"\n")
        assert framer.pending <= limit
    assert at == framer.consumed == raw.rfind(b"\n") + 1


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ODD = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(spot for key, child in children for spot in spots(child, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], odd)
    return copy


SEEDS = [
    json.loads(line)
    for name in ("subagent", "partial", "ctl_hooks_sdkmcp", "e401", "autocompact", "defer1", "e429long_oauth")
    for line in (CAPTURES / f"{name}.jsonl").read_bytes().splitlines()
    if len(line) < 4000
]


@settings(max_examples=1500, deadline=None)
@given(seed=st.sampled_from(SEEDS), odd=ODD, data=st.data())
@example(seed=SEEDS[0], odd={}, data=None)
def test_a_known_event_of_odd_shape_never_raises(seed: Any, odd: Any, data: st.DataObject | None) -> None:
    """
    Any field of a real event, of any other type: at most that line is lost, and every message can be encoded.
    """
    path = data.draw(st.sampled_from(spots(seed))) if data else ("type",)
    line = json.dumps(put(seed, path, odd)).encode()
    good = b'{"type":"system","subtype":"session_state_changed","state":"idle"}'
    stream, inspector = ClaudeStream(), Inspector()
    raw = good + b"\n" + line + b"\n" + good + b"\n"

    told = stream.feed(raw)
    inspector.feed(raw)

    assert told[0] == told[-1]
    assert stream.events + stream.malformed == 3
    assert stream.events >= 2
    assert msgspec.json.encode(told)
    assert msgspec.json.encode(inspector.finish())


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(STREAMS)), flips=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 255))))
def test_flipped_bytes_never_raise(name: str, flips: list[tuple[int, int]]) -> None:
    raw = bytearray(STREAMS[name])
    for place, value in flips:
        raw[place % len(raw)] = value
    data = bytes(raw)

    assert say(data, []) == say(data, [len(data) // 3, len(data) // 2])
