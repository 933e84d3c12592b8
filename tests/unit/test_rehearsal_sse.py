"""
An answer on the wire: whatever it holds, the deltas put together are it.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrd.domain.model import Usage
from orchestrd.rehearsal import sse
from orchestrd.rehearsal.ledger import Entry, Ledger
from orchestrd.rehearsal.reply import Reply

TEXT = st.text(max_size=5000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
USAGE = Usage(input=1, output=22, cache_read=333, cache_write_5m=4444, cache_write_1h=5)


def reply(*blocks: dict[str, Any]) -> Reply:
    return Reply(id="msg_1", model="m", blocks=blocks, stop_reason="end_turn", usage=USAGE)


def parse(frames: tuple[bytes, ...]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for frame in b"".join(frames).split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n")
        value = json.loads(data.removeprefix(b"data: "))
        assert name == f"event: {value['type']}".encode()
        events.append(value)
    return events


def joined(events: list[dict[str, Any]], index: int, kind: str, key: str) -> str:
    deltas = [e["delta"] for e in events if e["type"] == "content_block_delta" and e["index"] == index]
    return "".join(delta[key] for delta in deltas if delta["type"] == kind)


@given(text=TEXT, thinking=TEXT, arguments=st.dictionaries(st.text(max_size=9), JSON, max_size=3))
def test_the_deltas_put_together_are_the_blocks(text: str, thinking: str, arguments: dict[str, Any]) -> None:
    blocks = (
        {"type": "thinking", "thinking": thinking, "signature": "c2ln"},
        {"type": "text", "text": text},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": arguments},
    )
    events = parse(sse.stream(reply(*blocks)))

    assert thinking == joined(events, 0, "thinking_delta", "thinking")
    assert joined(events, 0, "signature_delta", "signature") == "c2ln"
    assert text == joined(events, 1, "text_delta", "text")
    assert arguments == json.loads(joined(events, 2, "input_json_delta", "partial_json"))
    assert list(blocks) == json.loads(sse.whole(reply(*blocks)))["content"]


def test_the_stream_begins_with_one_output_token_and_ends_with_all() -> None:
    events = parse(sse.stream(reply({"type": "text", "text": "x" * 1000})))
    first, last = events[0], events[-2]

    assert first["type"] == "message_start"
    assert first["message"]["usage"]["output_tokens"] == 1
    assert first["message"]["stop_reason"] is None
    assert (last["type"], events[-1]["type"]) == ("message_delta", "message_stop")
    assert last["delta"]["stop_reason"] == "end_turn"
    assert last["usage"]["output_tokens"] == 22
    assert last["usage"]["cache_creation_input_tokens"] == 4449
    assert last["usage"]["cache_creation"] == {"ephemeral_5m_input_tokens": 4444, "ephemeral_1h_input_tokens": 5}
    assert len(events) > 20


def test_a_large_block_is_not_a_large_number_of_events() -> None:
    assert len(sse.stream(reply({"type": "text", "text": "x" * 2_000_000}))) < 80


def entry(n: int) -> Entry:
    return Entry(
        n=n, at=1.5, scenario="s", conversation="c", session="", message=f"msg_{n}", model="m", step=0, status=200,
        usage=Usage(input=1, output=1), finished=False,
    )  # fmt: skip


def test_only_finished_answers_are_spent() -> None:
    ledger = Ledger()
    ledger.open(entry(ledger.next_n))
    ledger.open(entry(ledger.next_n))
    ledger.finish(2, USAGE, 9.0)

    assert ledger.spent == {"m": USAGE}
    assert [row["finished"] for row in ledger.as_json()] == [False, True]
    assert ledger.as_json()[0]["at"] == "1970-01-01T00:00:01.500Z"


def test_an_answer_that_ends_after_a_reset_is_forgotten() -> None:
    ledger = Ledger()
    ledger.open(entry(ledger.next_n))
    ledger.clear()
    ledger.finish(1, USAGE, 9.0)
    ledger.open(entry(ledger.next_n))

    assert [row.n for row in ledger.entries] == [2]
    assert ledger.spent == {}
