"""
JSON-RPC 2.0, one object a line: requests, replies, notifications and error objects.

Sans-IO: lines in, values out.  Source: the JSON-RPC 2.0 specification, section numbers in the comments.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

MAX_LINE = 1024 * 1024
"""Bytes of one line, in either direction."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
BUSY = -32001

_Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An id that can be written back: larger integers can be read, but not encoded."""


class Request(msgspec.Struct, kw_only=True):
    """
    A call; without an *id* it is a notification and gets no reply (section 4.1).
    """

    jsonrpc: str
    method: str
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    id: _Number | str | msgspec.UnsetType | None = msgspec.UNSET


class ErrorObject(msgspec.Struct, kw_only=True, omit_defaults=True):
    """
    Why a call failed (section 5.1).  *data* holds ``hint`` and ``exit_status`` for this program's own errors.
    """

    code: int
    message: str
    data: dict[str, Any] | None = None


class Response(msgspec.Struct, kw_only=True):
    """
    The answer to one call: *result* or *error*.
    """

    jsonrpc: str = "2.0"
    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: ErrorObject | msgspec.UnsetType = msgspec.UNSET


class Notification(msgspec.Struct, kw_only=True):
    """
    A message from the server that answers no call: a subscribed event.
    """

    jsonrpc: str = "2.0"
    method: str
    params: msgspec.Raw


class ProtocolError(ValueError):
    """
    A line that is no valid request; *code* is JSON-RPC's own, *id* the request's when it could be read.
    """

    def __init__(self, code: int, message: str, id: int | str | None = None) -> None:  # noqa: A002 - the field's name
        super().__init__(message)
        self.code = code
        self.id = id


_request = msgspec.json.Decoder(Request)
_response = msgspec.json.Decoder(Response)


def decode_request(line: bytes) -> Request:
    """
    One line as a request.

    Raises `ProtocolError`, and nothing else, for any bytes.
    """
    try:
        request = _request.decode(line)
    except msgspec.ValidationError as error:
        raise ProtocolError(INVALID_REQUEST, f"not a JSON-RPC request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(PARSE_ERROR, f"not JSON: {error}") from None
    if request.jsonrpc != "2.0":
        given = None if request.id is msgspec.UNSET else request.id
        raise ProtocolError(INVALID_REQUEST, 'not a JSON-RPC 2.0 request: "jsonrpc" is not "2.0"', given)
    return request


def decode_response(line: bytes) -> Response:
    """
    One line as a response.

    Raises `ProtocolError`.
    """
    try:
        return _response.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(PARSE_ERROR, f"not a JSON-RPC response: {error}") from None


def result_line(id: int | str | None, result: Any) -> bytes:  # noqa: A002 - the field's name
    """
    The reply to call *id*, with its line end.
    """
    return msgspec.json.encode(Response(id=id, result=msgspec.Raw(msgspec.json.encode(result)))) + b"\n"


def error_line(id: int | str | None, error: ErrorObject) -> bytes:  # noqa: A002 - the field's name
    """
    The failure of call *id*, with its line end.
    """
    return msgspec.json.encode(Response(id=id, error=error)) + b"\n"


def request_line(id: int | str, method: str, params: Any) -> bytes:  # noqa: A002 - the field's name
    """
    A call, with its line end.
    """
    raw = msgspec.Raw(msgspec.json.encode(params))
    return msgspec.json.encode(Request(jsonrpc="2.0", id=id, method=method, params=raw)) + b"\n"


def notification_line(method: str, params: Any) -> bytes:
    """
    A notification, with its line end.
    """
    return msgspec.json.encode(Notification(method=method, params=msgspec.Raw(msgspec.json.encode(params)))) + b"\n"
