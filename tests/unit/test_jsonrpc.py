"""
JSON-RPC 2.0, one object a line: what is read, what is refused with which code, and what is written.
"""

import json

import msgspec
import pytest

from orchestrd.protocol import jsonrpc as rpc


def refused(line: bytes) -> rpc.ProtocolError:
    with pytest.raises(rpc.ProtocolError) as caught:
        rpc.decode_request(line)
    return caught.value


def test_a_request():
    request = rpc.decode_request(b'{"jsonrpc":"2.0","id":7,"method":"task.status","params":{"day":"2026-11-22"}}')
    assert (request.id, request.method, bytes(request.params)) == (7, "task.status", b'{"day":"2026-11-22"}')


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, "", "abc", "ü"])
def test_ids_come_back_as_they_were(number):
    line = json.dumps({"jsonrpc": "2.0", "id": number, "method": "m"}).encode()
    request = rpc.decode_request(line)
    assert json.loads(rpc.result_line(request.id, {}))["id"] == number
    assert json.loads(rpc.error_line(request.id, rpc.ErrorObject(code=1, message="x")))["id"] == number


@pytest.mark.parametrize(
    "number", ["1" + "0" * 30, "-1" + "0" * 30, "1" + "0" * 400, str(2**64), "1e3", "1.5", "true", "[1]"]
)
def test_ids_that_cannot_come_back_are_refused(number):
    line = f'{{"jsonrpc":"2.0","id":{number},"method":"m"}}'.encode()
    assert refused(line).code == rpc.INVALID_REQUEST


def test_without_an_id_it_is_a_notification():
    assert rpc.decode_request(b'{"jsonrpc":"2.0","method":"m"}').id is msgspec.UNSET
    assert rpc.decode_request(b'{"jsonrpc":"2.0","id":null,"method":"m"}').id is None


def test_unknown_members_are_passed_over():
    assert rpc.decode_request(b'{"jsonrpc":"2.0","id":1,"method":"m","trace":[{}]}').method == "m"


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"nonsense", b'{"a":}', b"\xff\xfe", b'"\xff"', b"\x00", b'{"jsonrpc":"2.0","method":"\xff"}', b"[" * 100_000],
    ids=repr,
)  # fmt: skip
def test_not_json(line):
    assert refused(line).code in (rpc.PARSE_ERROR, rpc.INVALID_REQUEST)


@pytest.mark.parametrize("line", [b"", b"{", b"nonsense", b'{"jsonrpc":"2.0","id":1,"method":"m"'])
def test_text_that_ends_early_or_never_was_json(line):
    assert refused(line).code == rpc.PARSE_ERROR


@pytest.mark.parametrize(
    "line",
    [b"[]", b"1", b'"x"', b"null", b"{}", b'[{"jsonrpc":"2.0","id":1,"method":"m"}]', b'{"jsonrpc":"2.0","id":1}',
     b'{"jsonrpc":"2.0","id":1,"method":1}', b'{"jsonrpc":2.0,"id":1,"method":"m"}', b'{"jsonrpc":"2.0","id":{},"method":"m"}'],
    ids=repr,
)  # fmt: skip
def test_json_that_is_no_request(line):
    assert refused(line).code == rpc.INVALID_REQUEST


def test_another_version_is_refused_under_its_id():
    error = refused(b'{"jsonrpc":"1.0","id":5,"method":"m"}')
    assert (error.code, error.id) == (rpc.INVALID_REQUEST, 5)
    assert refused(b'{"jsonrpc":"1.0","method":"m"}').id is None


def test_params_may_be_nested_without_end():
    deep = b"[" * 100_000 + b"]" * 100_000
    try:
        request = rpc.decode_request(b'{"jsonrpc":"2.0","id":1,"method":"m","params":' + deep + b"}")
    except rpc.ProtocolError as error:
        assert error.code in (rpc.PARSE_ERROR, rpc.INVALID_REQUEST)
    else:
        assert bytes(request.params) == deep


def test_lines_that_are_written():
    assert json.loads(rpc.request_line(1, "m", {"a": 1})) == {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "m",
        "params": {"a": 1},
    }
    assert json.loads(rpc.result_line(1, [1])) == {"jsonrpc": "2.0", "id": 1, "result": [1]}
    assert json.loads(rpc.notification_line("event", {})) == {"jsonrpc": "2.0", "method": "event", "params": {}}
    assert json.loads(rpc.error_line(None, rpc.ErrorObject(code=-1, message="no", data={"hint": ""}))) == {
        "jsonrpc": "2.0", "id": None, "error": {"code": -1, "message": "no", "data": {"hint": ""}},
    }  # fmt: skip
    for line in (rpc.request_line(1, "m", "a\nb"), rpc.result_line("x\ny", "a\r\nb")):
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1


def test_a_response_has_a_result_or_an_error():
    good = rpc.decode_response(rpc.result_line(3, {"a": 1}))
    assert (good.id, bytes(good.result), good.error) == (3, b'{"a":1}', msgspec.UNSET)
    bad = rpc.decode_response(rpc.error_line(3, rpc.ErrorObject(code=-32601, message="no")))
    assert (bad.result, bad.error.code) == (msgspec.UNSET, -32601)
    assert bytes(rpc.decode_response(rpc.result_line(3, None)).result) == b"null"


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"\xff", b'{"id":[]}'])
def test_what_is_no_response(line):
    with pytest.raises(rpc.ProtocolError) as caught:
        rpc.decode_response(line)
    assert caught.value.code == rpc.PARSE_ERROR
