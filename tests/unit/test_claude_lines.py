"""
Bad lines, unknown types and odd shapes: each loses at most itself, and nothing raises.
"""

import json
import time
from typing import Any

import pytest

from orchestrd.domain.model import Usage
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.messages import (
    ApiFailure,
    ControlUnknown,
    Malformed,
    Message,
    MessageUsage,
    Oversize,
    Result,
    StateChanged,
    Text,
    Thinking,
    ToolCall,
    ToolProgress,
    ToolResult,
    Unknown,
    UserEcho,
)

GOOD = b'{"type":"system","subtype":"session_state_changed","state":"idle","session_id":"S"}'
IDLE = StateChanged(state="idle")


def line(**value: Any) -> bytes:
    return json.dumps(value).encode()


def say(*lines: bytes) -> list[Message]:
    return ClaudeStream().feed(b"".join(entry + b"\n" for entry in lines))


def assistant(*content: Any, **fields: Any) -> bytes:
    message = {"id": "m", "model": "x", "content": list(content), **fields}
    return line(type="assistant", message=message)


BAD = {
    "not JSON": b"[SandboxDebug] hello",
    "torn": b'{"type":"system","subty',
    "two values": GOOD + GOOD,
    "not an object": b"[1,2]",
    "a number": b"7",
    "null": b"null",
    "no type": b'{"subtype":"init"}',
    "type of another type": b'{"type":["system"]}',
    "NUL": b"\x00",
    "NUL inside": b'{"type":"system"}\x00',
    "control character": b'{"type":"system","x":"\x01"}',
    "BOM": b"\xef\xbb\xbf" + GOOD,
    "bad UTF-8": b'{"type":"system","subtype":"status","status":"\xff"}',
    "NaN": b'{"type":"system","subtype":"status","x":NaN}',
    "deep": b'{"type":"system","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep, open": b"[" * 200_000,
    "no message": b'{"type":"assistant"}',
    "a message of another type": b'{"type":"assistant","message":7}',
    "blocks of another type": b'{"type":"user","message":{"content":[1,2]}}',
    "no event": b'{"type":"stream_event"}',
    "an event of another type": b'{"type":"stream_event","event":[]}',
    "a lone surrogate in bad JSON": b'{"type":"system","x":"\\ud83d"',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_line_loses_only_itself(bad: bytes) -> None:
    stream = ClaudeStream()
    told = stream.feed(GOOD + b"\n" + bad + b"\n" + GOOD + b"\n")

    assert [told[0], told[2]] == [IDLE, IDLE]
    assert isinstance(told[1], Malformed)
    assert (len(GOOD) + 1, len(bad)) == (told[1].offset, told[1].length)
    assert told[1].reason
    assert (stream.malformed, stream.events, stream.session) == (1, 2, "S")


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_line_alone_in_its_chunk(bad: bytes) -> None:
    stream = ClaudeStream(start=100)
    told = stream.feed(bad + b"\r\n")

    assert [(100, len(bad))] == [(m.offset, m.length) for m in told if isinstance(m, Malformed)]
    assert 100 + len(bad) + 2 == stream.consumed
    assert stream.feed(GOOD + b"\n") == [IDLE]


def test_values_must_keep_to_their_lines() -> None:
    """
    A value over two lines and two values on one line do not even out.
    """
    pretty = b'{"type":\n"system"}'

    assert [Malformed, Malformed] == [type(m) for m in say(pretty)]
    assert [Malformed, StateChanged] == [type(m) for m in say(GOOD + GOOD, b"", GOOD)]


def test_values_that_do_not_match_their_lines_one_to_one() -> None:
    """
    Two values on a line are one bad line, also where a blank line makes the count right again.
    """
    text = assistant({"type": "text", "text": "a"})
    said = Text(message_id="m", text="a")
    bad, *rest = say(text + text, text)
    assert isinstance(bad, Malformed)
    assert rest == [said]
    bad, *rest = say(text + text, text, GOOD, text, b"")
    assert isinstance(bad, Malformed)
    assert rest == [said, IDLE, said]
    pretty = text.replace(b", ", b",\n", 1)
    assert [type(m) for m in say(pretty, text)] == [Malformed, Malformed, Text]


def test_what_is_odd_and_still_json() -> None:
    assert say(b"  " + GOOD + b"\t\r") == [IDLE]
    assert say(b'{"state":"busy","x":1,"state":"idle","subtype":"session_state_changed","type":"system"}') == [IDLE]
    huge = b'{"type":"tool_progress","tool_use_id":"t","elapsed_time_seconds":' + b"9" * 400 + b"}"
    assert [ToolProgress(tool_use_id="t", tool_name="", elapsed=0.0)] == say(huge)
    assert [Text(message_id="", text="later")] == say(
        b'{"message":{"content":[{"text":"later","type":"text"}]},"type":"assistant"}'
    )


def test_a_lone_surrogate_costs_one_character() -> None:
    """
    JSON.stringify writes one for a text cut inside a pair.
    """
    cut = b'{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"cut \\ud83d \\ud83d\\ude00"}]}}'

    assert [IDLE, Text(message_id="m", text="cut \ufffd 😀"), IDLE] == say(GOOD, cut, GOOD)
    ours = b'{"type":"user","message":{"content":"\\udc00"},"tool_use_result":"\\ud83d"}'
    assert [UserEcho(text="\ufffd")] == say(ours)


def test_unknown_types_are_counted_and_kept() -> None:
    stream = ClaudeStream()
    told = stream.feed(
        b"\n".join(
            [
                b'{"type":"hologram","subtype":"blue","event":7,"message":"m","parent_tool_use_id":[]}',
                b'{"type":"hologram","event":{"type":5}}',
                b'{"type":"system","subtype":"new_thing"}',
                b'{"type":"stream_event","event":{"type":"content_block_hologram"}}',
                assistant({"type": "hologram"}),
                GOOD,
                b"",
            ]
        )
    )

    assert [
        Unknown(type="hologram", subtype="blue"),
        Unknown(type="hologram"),
        Unknown(type="system", subtype="new_thing"),
        Unknown(type="stream_event", subtype="content_block_hologram"),
        Unknown(type="assistant", subtype="hologram"),
        IDLE,
    ] == told
    assert stream.unknown == {
        "hologram/blue": 1,
        "hologram": 1,
        "system/new_thing": 1,
        "stream_event/content_block_hologram": 1,
        "assistant/hologram": 1,
    }
    assert (stream.events, stream.malformed) == (6, 0)


def test_an_unknown_request_must_be_answered() -> None:
    request = line(type="control_request", request_id="r", request={"subtype": "hologram"})

    assert [ControlUnknown(request_id="r", subtype="hologram")] == say(request)


def test_odd_fields_become_their_defaults() -> None:
    odd = {"id": 7, "model": [], "content": [{"type": "tool_use", "id": None, "name": 3, "input": "x"}], "usage": "no"}
    assert [ToolCall(id="", name="", input={})] == say(line(type="assistant", message=odd))
    (result,) = say(line(type="result", is_error="yes", errors=[1, "e"], modelUsage={"m": 5}, total_cost_usd="1"))
    assert isinstance(result, Result)
    assert (result.is_error, result.errors, result.total_cost_usd) == (True, ("e",), 0.0)
    negative = {"id": "m", "content": [], "usage": {"input_tokens": -5, "output_tokens": 1.0, "cache_creation": 3}}
    assert [Usage(output=1)] == [
        m.usage for m in say(line(type="assistant", message=negative)) if isinstance(m, MessageUsage)
    ]


def test_thinking_is_not_kept_and_redacted_thinking_is_thinking() -> None:
    assert [Thinking(message_id="m"), Thinking(message_id="m")] == say(
        assistant({"type": "thinking", "thinking": "secret"}, {"type": "redacted_thinking", "data": "x"})
    )


def test_an_error_without_a_word() -> None:
    silent = line(type="assistant", is_api_error_message=True, message={"model": "<synthetic>", "content": []})

    assert [ApiFailure(kind="unknown", status=None, text="")] == say(silent)


def usage_of(message_id: str, **usage: Any) -> bytes:
    return assistant(id=message_id, usage=usage)


def delta_of(message_id: str, **usage: Any) -> bytes:
    return line(type="stream_event", event={"type": "message_delta", "usage": usage}, api_message_id=message_id)


def told(*lines: bytes) -> list[tuple[str, int, int, bool]]:
    return [(m.message_id, m.usage.input, m.usage.output, m.final) for m in say(*lines) if isinstance(m, MessageUsage)]


@pytest.mark.parametrize("key", ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"])
def test_a_nothing_at_the_end_does_not_undo_what_was_sent(key: str) -> None:
    """
    Some gateways tell at the end what was received, and zeros for the rest; the CLI keeps what was told at the start.
    """
    split = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20}
    sent = {"input_tokens": 10, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 50}
    start = usage_of("a", **sent, cache_creation=split, output_tokens=1)
    whole = Usage(input=10, output=7, cache_read=1000, cache_write_5m=30, cache_write_1h=20)
    for end in ({**sent, key: 0}, sent, dict.fromkeys(sent, 0), {}):
        *_, last = (m for m in say(start, delta_of("a", **end, output_tokens=7)) if isinstance(m, MessageUsage))
        assert (last.usage, last.final) == (whole, True)
    # What it tells, it tells anew, for all that is known as short as that.
    *_, last = (m for m in say(start, delta_of("a", input_tokens=9, cache_creation_input_tokens=60, output_tokens=0)))
    assert last.usage == Usage(input=9, output=0, cache_read=1000, cache_write_5m=40, cache_write_1h=20)


def test_usage_repeated_late_and_out_of_order() -> None:
    start = usage_of("a", input_tokens=10, output_tokens=1)

    assert told(start, start, start) == [("a", 10, 1, False)]
    # Interleaved with another conversation's response.
    assert told(start, usage_of("b", input_tokens=5, output_tokens=1), start) == [
        ("a", 10, 1, False),
        ("b", 5, 1, False),
    ]
    # A snapshot after the final figures is old news; what a delta leaves out is as it was.
    assert told(start, delta_of("a", output_tokens=70), start) == [("a", 10, 1, False), ("a", 10, 70, True)]
    # The final figures may grow.
    assert told(delta_of("a", output_tokens=7), delta_of("a", output_tokens=9)) == [
        ("a", 0, 7, True),
        ("a", 0, 9, True),
    ]
    assert (
        told(usage_of("a").replace(b', "usage": {}', b""), line(type="stream_event", event={"type": "message_delta"}))
        == []
    )


@pytest.mark.parametrize(
    ("usage", "readable"),
    [
        ({"output_tokens": 9}, True),
        ({"output_tokens": 0, "input_tokens": None}, True),
        ({"output_tokens": 9, "input_tokens": 8}, True),
        ({}, False),
        *(({"output_tokens": odd}, False) for odd in (None, -5_000_000, "many", 12.5, 1e300, 2**53, True)),
        ({"output_tokens": 9, "input_tokens": -5_000_000}, False),
    ],
)
def test_whether_a_response_says_at_its_end_what_it_used(usage: dict[str, Any], readable: bool) -> None:
    def tells(*lines: bytes) -> list[tuple[bool, bool]]:
        return [(m.final, m.told) for m in say(*lines) if isinstance(m, MessageUsage)]

    start = usage_of("a", input_tokens=10, output_tokens=1)
    assert tells(start, delta_of("a", **usage)) == [(False, True), (True, readable)]
    assert tells(assistant(id="a", usage=usage, stop_reason="end_turn")) == [(True, readable)]
    # What it said once it has said, and what it says late too.
    whole = {"output_tokens": 70}
    assert tells(start, delta_of("a", **whole), delta_of("a", **usage))[-1] == (True, True)
    assert tells(start, delta_of("a", **usage), delta_of("a", **whole))[-1] == (True, True)


def test_an_end_without_any_figures() -> None:
    bare = line(type="stream_event", event={"type": "message_delta"}, api_message_id="a")
    found = [m for m in say(usage_of("a", input_tokens=10, output_tokens=1), bare) if isinstance(m, MessageUsage)]
    assert [(m.usage.input, m.usage.output, m.final, m.told) for m in found] == [
        (10, 1, False, True),
        (10, 1, True, False),
    ]


def test_a_beginning_that_cannot_be_read_is_not_told_by_the_end() -> None:
    lines = usage_of("a", input_tokens=-5, output_tokens=1), delta_of("a", output_tokens=9)
    assert [m.told for m in say(*lines) if isinstance(m, MessageUsage)] == [False, False]


def test_usage_is_remembered_in_bounded_memory() -> None:
    stream = ClaudeStream()
    for number in range(5000):
        stream.feed(usage_of(f"m{number}", input_tokens=1) + b"\n")

    assert len(stream._memory._seen) <= 256


def start_of(message_id: str, **usage: Any) -> bytes:
    event = {"type": "message_start", "message": {"id": message_id, "usage": usage}}
    return line(type="stream_event", event=event)


@pytest.mark.parametrize("given", ["msg_1", ""])
@pytest.mark.parametrize("named", [True, False])
def test_a_response_under_an_id_that_was_there_before_is_another_one(given: str, named: bool) -> None:
    """
    What stands between the CLI and the service may give every response the same id, or none.
    """
    called = {"type": "tool_use", "id": "t", "name": "Bash", "input": {}}
    lines = [
        start_of(given, input_tokens=100, output_tokens=1),
        assistant(called, id=given, usage={"input_tokens": 100, "output_tokens": 1}),
        delta_of(given if named else "", output_tokens=70),
    ]
    stream = ClaudeStream()
    found = [[m for m in stream.feed(b"\n".join(lines) + b"\n") if not isinstance(m, Unknown)] for _ in range(3)]
    names = [{m.message_id for m in response} for response in found]
    assert [sum(isinstance(m, ToolCall) for m in response) for response in found] == [1, 1, 1]
    assert all(len(name) == 1 for name in names)
    assert len(set.union(*names)) == 3
    assert "" not in set.union(*names)
    assert {(m.usage.output, m.final) for m in found[2] if isinstance(m, MessageUsage)} == {(1, False), (70, True)}


def test_responses_of_the_same_id_in_two_conversations() -> None:
    """
    Each line is of the one that began last in its own.
    """
    of_main, of_part = (
        [
            start_of("m", input_tokens=count, output_tokens=1).replace(b"{", b'{"parent_tool_use_id": %s, ' % by, 1),
            usage_of("m", input_tokens=count, output_tokens=2).replace(b"{", b'{"parent_tool_use_id": %s, ' % by, 1),
            delta_of("m", output_tokens=count).replace(b"{", b'{"parent_tool_use_id": %s, ' % by, 1),
        ]
        for count, by in ((10, b"null"), (20, b'"call"'))
    )
    mixed = [row for pair in zip(of_main, of_part, strict=True) for row in pair]
    found = [m for m in say(*mixed, *mixed) if isinstance(m, MessageUsage)]
    assert len(found) == 12
    for first, of in ((0, None), (1, "call")):
        for begin in (0, 6):
            own = found[begin + first : begin + 6 : 2]
            assert {m.subagent for m in own} == {of}
            assert len({m.message_id for m in own}) == 1
            assert [m.usage.output for m in own] == [1, 2, 20 if of else 10]
    assert len({m.message_id for m in found}) == 4


def test_a_reader_that_began_in_the_middle_of_a_response() -> None:
    assert told(delta_of("late", input_tokens=3, output_tokens=40)) == [("late", 3, 40, True)]


def test_cache_writes() -> None:
    split = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}
    zero = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    found = [
        next((m.usage.cache_write_5m, m.usage.cache_write_1h) for m in say(entry) if isinstance(m, MessageUsage))
        for entry in (
            usage_of("a", cache_creation_input_tokens=100, cache_creation=split),
            usage_of("b", cache_creation_input_tokens=100, cache_creation=zero),
            usage_of("c", cache_creation_input_tokens=100),
            usage_of("d", cache_creation=split),
        )
    ]

    assert found == [(30, 70), (100, 0), (100, 0), (30, 70)]


def answer(content: Any) -> str:
    block = {"type": "tool_result", "tool_use_id": "t", "content": content}
    (result,) = say(
        json.dumps({"type": "user", "message": {"content": [block]}}, ensure_ascii="é" not in str(content)).encode()
    )
    assert isinstance(result, ToolResult)
    return result.text


@pytest.mark.parametrize("text", ["x", "é", "😀", '"', "\\", "\n", '😀\\é"\n'])
@pytest.mark.parametrize("shift", range(13))
def test_a_long_tool_result_is_cut_at_2000_characters(text: str, shift: int) -> None:
    whole = "a" * shift + text * 20_000

    assert whole[:2000] == answer(whole)
    assert whole[:1999] == answer(whole[:1999])


def test_tool_results_of_every_shape() -> None:
    assert answer([{"type": "text", "text": "a"}, {"type": "image"}, 7, {"type": "text", "text": "b"}]) == "a\nb"
    assert [answer(None), answer(7), answer({})] == ["", "", ""]


def test_a_two_mebibyte_line_is_quick() -> None:
    value = (
        assistant({"type": "tool_use", "id": "t", "name": "Write", "input": {"content": "line\n" * 420_000}}) + b"\n"
    )
    stream = ClaudeStream()
    begin = time.process_time()
    told = [m for at in range(0, len(value), 4096) for m in stream.feed(value[at : at + 4096])]
    spent = time.process_time() - begin

    assert isinstance(told[0], ToolCall)
    assert len(told[0].input["content"]) == 420_000 * 5
    assert spent < 0.5


def test_a_line_over_the_limit() -> None:
    stream = ClaudeStream(limit=100)
    data = GOOD + b"\n" + b"x" * 1000 + b"\n" + GOOD + b"\n"
    told = [m for at in range(0, len(data), 7) for m in stream.feed(data[at : at + 7])]

    assert [IDLE, Oversize(offset=len(GOOD) + 1, length=1000), IDLE] == told
    assert (1, 0, 2, len(data)) == (stream.oversize, stream.malformed, stream.events, stream.consumed)


def test_the_last_line() -> None:
    whole, torn, long = ClaudeStream(), ClaudeStream(), ClaudeStream(limit=10)

    assert whole.feed(GOOD) == []
    assert whole.finish() == [IDLE]
    assert len(GOOD) == whole.consumed
    assert torn.feed(GOOD + b"\n" + GOOD[:30]) == [IDLE]
    (tail,) = torn.finish()
    assert isinstance(tail, Malformed)
    assert (len(GOOD) + 1, 30, True) == (tail.offset, tail.length, tail.torn)
    assert len(GOOD) + 1 == torn.consumed
    long.feed(b"x" * 50)
    assert [Oversize(offset=0, length=50)] == long.finish()
    assert ClaudeStream().finish() == []
