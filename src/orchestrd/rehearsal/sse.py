"""
An answer as the bytes of the Messages API: one JSON object, or a stream of server-sent events.  Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrd.domain.model import Usage
from orchestrd.rehearsal.reply import Reply

_PIECE = 48
"""Characters of a delta; a long block is cut into at most `_PIECES` larger ones."""
_PIECES = 64


def event(value: dict[str, Any]) -> bytes:
    """
    *value* as one server-sent event named after its ``type``.
    """
    return b"event: %s\ndata: %s\n\n" % (str(value["type"]).encode(), msgspec.json.encode(value))


def stream(reply: Reply) -> tuple[bytes, ...]:
    """
    The events of *reply*, from ``message_start`` (whose usage tells of one output token, as the API's does) to
    ``message_stop``.
    """
    start = {**_message(reply, (), None), "usage": usage_json(reply.usage, output=1)}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(reply.blocks):
        events.extend(_block(index, block))
    delta = {"stop_reason": reply.stop_reason, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": usage_json(reply.usage)})
    events.append({"type": "message_stop"})
    return tuple(event(value) for value in events)


def beat(kind: str) -> bytes:
    """
    What says nothing: a ping, or the delta of a first block that is *kind* ``empty``.
    """
    if kind == "empty":
        return event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}})
    return event({"type": "ping"})


def whole(reply: Reply) -> bytes:
    """
    *reply* as the body of an answer that is not streamed.
    """
    return msgspec.json.encode({**_message(reply, reply.blocks, reply.stop_reason), "usage": usage_json(reply.usage)})


def error(kind: str, message: str) -> dict[str, Any]:
    """
    The API's error object: the body of an HTTP error, and the payload of an ``error`` event.
    """
    return {"type": "error", "error": {"type": kind, "message": message}}


def usage_json(usage: Usage, *, output: int | None = None) -> dict[str, Any]:
    """
    *usage* in the API's words; *output* stands in for its output tokens.
    """
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output if output is None else output,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "service_tier": "standard",
    }


def _message(reply: Reply, blocks: tuple[dict[str, Any], ...], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": list(blocks),
        "stop_reason": stop_reason,
        "stop_sequence": None,
    }


def _block(index: int, block: dict[str, Any]) -> list[dict[str, Any]]:
    if block["type"] == "tool_use":
        empty = {**block, "input": {}}
        text = msgspec.json.encode(block["input"]).decode()
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(text)]
    elif block["type"] == "thinking":
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    else:
        empty = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
    return [
        {"type": "content_block_start", "index": index, "content_block": empty},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _pieces(text: str) -> list[str]:
    size = max(_PIECE, -(-len(text) // _PIECES))
    return [text[start : start + size] for start in range(0, len(text), size)]
