"""
F20: whatever comes over the socket gets the right JSON-RPC error or a hang-up; nothing of the program's inside comes out, the
next call is served, and nothing goes round in circles.

`tests/integration/test_rpc.py` (which garbage gets which error) and `tests/properties/test_jsonrpc_properties.py` belong to
this row too.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from harness.mutant import Mutant
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kit.rpc import Link

from orchestrd.protocol import api, jsonrpc

pytestmark = pytest.mark.slow
EXAMPLES = 150
EXPECTED = {
    jsonrpc.PARSE_ERROR,
    jsonrpc.INVALID_REQUEST,
    jsonrpc.METHOD_NOT_FOUND,
    jsonrpc.INVALID_PARAMS,
    -32020,
    -32021,
    -32022,
    -32023,
}
"""The protocol's own, and those of a caller's mistake; never one that says the daemon broke."""

MUTANTS = (
    Mutant(
        "what is no JSON breaks the handler",
        file="protocol/jsonrpc.py",
        old="    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:\n"
        '        raise ProtocolError(PARSE_ERROR, f"not JSON: {error}") from None\n',
        new="    except msgspec.DecodeError as error:\n"
        '        raise ProtocolError(PARSE_ERROR, f"not JSON: {error}") from None\n',
        test="test_any_bytes",
    ),
    Mutant(
        "answers do not say whose they are",
        file="edges/rpc.py",
        old="        silent = request.id is msgspec.UNSET\n        number = None if request.id is msgspec.UNSET else request.id\n",
        new="        silent = request.id is msgspec.UNSET\n        number = None\n",
        test="test_requests_that_are_nearly_right",
    ),
    Mutant(
        "parameters of a wrong type reach the method",
        file="edges/rpc.py",
        old="params = _PARAMS[request.method].decode(raw)",
        new="params = msgspec.json.decode(raw)",
        test="test_requests_that_are_nearly_right",
    ),
    Mutant(
        "parameters that cannot be read are our failure",
        file="edges/rpc.py",
        old="        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:\n            raise rpc.ProtocolError(rpc.INVALID",
        new="        except ZeroDivisionError as error:\n            raise rpc.ProtocolError(rpc.INVALID",
        test="test_requests_that_are_nearly_right",
    ),
    Mutant(
        "a line that was refused is read again for ever",
        file="edges/connection.py",
        old="            del self._pending[: end + 1]\n",
        new="            del self._pending[: end + (1 if line[:1] == b'{' else 0)]\n",
        test="test_any_bytes",
    ),
)


@contextlib.contextmanager
def garbage(world):
    """
    Gives what sends bytes and returns what comes back, until a good call after them and *expected* others are answered, or
    the daemon hangs up; at the end the daemon must be as it was.
    """

    def say(data: bytes, *, expected: int = 0) -> list[dict]:
        replies: list[dict] = []
        good = False
        # A connection each time: calls are answered as they are done, and a late answer belongs to nobody else.
        with Link(world.socket) as link, contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
            link._socket.sendall(data + b'\n{"jsonrpc":"2.0","id":"good","method":"daemon.status"}\n')
            while not good or len(replies) < expected:
                reply = link.line(30.0)
                if reply.get("id") == "good":
                    good = True
                    assert reply["result"]["pid"] == world.daemon.pid
                else:
                    replies.append(reply)
        return replies

    yield say
    assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    log = world.log.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert "exception" not in log
    assert '"level": "error"' not in log
    # Whoever goes round in circles uses a processor without being asked for anything.
    before = _ticks(world.daemon.pid)
    with Link(world.socket) as link, pytest.raises(TimeoutError):
        link.line(1.0)
    assert _ticks(world.daemon.pid) - before < 50


def _ticks(pid: int) -> int:
    """
    Processor time of the process, in hundredths of a second, see proc(5).
    """
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def proper(replies: list[dict]) -> None:
    for reply in replies:
        assert reply["jsonrpc"] == "2.0"
        if reply.get("method") == "event":
            continue
        assert "id" in reply
        if "error" in reply:
            assert reply["error"]["code"] in EXPECTED, reply
            assert "Traceback" not in reply["error"]["message"]
            assert ".py" not in reply["error"]["message"]


# A smaller example is not worth the waiting for what does not come.
calm = settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.generate])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63) - 1, 10**400, 1e308, -0.0])
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
# Stopping the daemon is no garbage.
METHODS = sorted(api.METHODS.keys() - {"daemon.stop"})


def test_any_bytes(fault_world, tally):
    deep = st.integers(1, 60_000).map(lambda n: b"[" * n) | st.integers(1, 20_000).map(lambda n: b'{"a":' * n)
    pieces = (
        st.binary(max_size=60) | deep | st.sampled_from([b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x00", b"GET / HTTP/1.1\r"])
    )
    count = 0

    @calm
    @given(st.lists(pieces, min_size=1, max_size=4).map(b"\n".join))
    def run(data):
        nonlocal count
        replies = say(data)
        proper(replies)
        assert all("error" in reply for reply in replies)
        lines = [line for line in data.split(b"\n") if line.strip()]
        assert len(replies) <= len(lines)
        count += len(lines)

    with garbage(fault_world()) as say:
        run()
    tally(row="F20", note=f"{count} lines of bytes")


def test_requests_that_are_nearly_right(fault_world, tally):
    count = 0
    fields = st.fixed_dictionaries(
        {},
        optional={
            "jsonrpc": st.sampled_from(["2.0", "2.0", "2.0", "1.0", "2", 2.0]) | JSON,
            "id": st.integers() | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**300]) | JSON,
            "method": st.sampled_from(METHODS) | st.text(max_size=12) | JSON,
            "params": JSON | st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4),
            "extra": JSON,
        },
    ).map(lambda value: {"jsonrpc": "2.0", "id": 1, "method": "task.status"} | value)
    wrong = st.builds(
        lambda method, params: {"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
        st.sampled_from(METHODS),
        st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4) | JSON,
    )
    requests = fields | wrong | st.lists(fields, max_size=3)

    @calm
    @given(requests)
    def run(value):
        nonlocal count
        if isinstance(value, dict) and value.get("method") == "task.wait":
            value["params"] = {"tasks": [], "timeout": 0}
        replies = say(json.dumps(value).encode(), expected=int(isinstance(value, list) or "id" in value))
        proper(replies)
        if isinstance(value, list):
            (reply,) = replies
            assert reply["error"]["code"] == jsonrpc.INVALID_REQUEST, "batches are not spoken here"
        else:
            given = value.get("id")
            for reply in (reply for reply in replies if "method" not in reply):
                refused = "error" in reply and reply["error"]["code"] in (jsonrpc.PARSE_ERROR, jsonrpc.INVALID_REQUEST)
                assert reply["id"] == given or (reply["id"] is None and refused)
        count += 1

    with garbage(fault_world()) as say:
        run()
    tally(row="F20", note=f"{count} requests that are nearly right")


NAMES = sorted({name for method in api.METHODS.values() for name in method.params.__struct_fields__})
