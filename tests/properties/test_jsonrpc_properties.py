"""
Whatever bytes come in: a request, or the one named error; whatever is answered, it can be read back.
"""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from orchestrd.protocol import jsonrpc as rpc

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)  # fmt: skip
IDS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers(), max_size=1))
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | JSON,
        "method": st.sampled_from(["task.status", ""]) | JSON,
        "id": IDS,
        "params": JSON,
        "more": JSON,
    },
)


def answer(line: bytes) -> bytes:
    """
    What a server without any method says.
    """
    try:
        request = rpc.decode_request(line)
    except rpc.ProtocolError as error:
        return rpc.error_line(error.id, rpc.ErrorObject(code=error.code, message=str(error)))
    number = None if request.id is msgspec.UNSET else request.id
    return rpc.result_line(number, request.method)


@given(st.binary())
def test_any_bytes(line):
    reply = rpc.decode_response(answer(line))
    assert (reply.error is msgspec.UNSET) != (reply.result is msgspec.UNSET)


@given(REQUESTS)
def test_almost_requests(value):
    reply = json.loads(answer(json.dumps(value).encode()))
    if "result" in reply:
        assert reply["id"] == value.get("id")
        assert reply["result"] == value["method"]


@given(st.text(), st.integers(-(2**63), 2**63 - 1) | st.text(), JSON)
def test_what_is_asked_arrives(method, number, params):
    line = rpc.request_line(number, method, params)
    assert line.count(b"\n") == 1
    request = rpc.decode_request(line[:-1])
    assert (request.method, request.id) == (method, number)
    expected = json.loads(msgspec.json.encode(params))
    assert json.loads(bytes(request.params)) == expected
